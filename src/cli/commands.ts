import type { Command } from "commander";

/** A command's own file. */
export interface CommandModule {
  /** Gives the command its arguments, options and action. */
  define(command: Command): void;
}

/** What `bitwright` can do, in the order of its help. */
export const commands = {
  inspect: {
    summary: "show what a model is made of: operators, layers, bytes, work, what the clean-up changes",
    load: () => import("./commands/inspect.js"),
  },
  analyze: {
    summary: "measure how much every layer suffers from every format, and save it",
    load: () => import("./commands/analyze.js"),
  },
  search: {
    summary: "write the smallest model inside the limits, guided by a saved analysis",
    load: () => import("./commands/search.js"),
  },
  judge: {
    summary: "hold the criteria of a saved analysis against measurements, with plots",
    load: () => import("./commands/judge.js"),
  },
  quantize: {
    summary: "analyze, search, write and verify in one go",
    load: () => import("./commands/quantize.js"),
  },
  evaluate: {
    summary: "measure the metric of any ONNX model on a data set, paired with a reference model",
    load: () => import("./commands/evaluate.js"),
  },
  measure: {
    summary: "time models against each other in onnxruntime",
    load: () => import("./commands/measure.js"),
  },
  doctor: {
    summary: "show which engine is used and what is missing",
    load: () => import("./commands/doctor.js"),
  },
} as const satisfies Record<string, { summary: string; load: () => Promise<CommandModule> }>;
