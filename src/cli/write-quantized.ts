import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Analysis } from "../analysis.js";
import { writeAnalysis } from "../analysis-node.js";
import type { Dataset } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import { replaceTextFile } from "../io-node.js";
import type { Limits, RunOptions } from "../options.js";
import { checkOutputs } from "../output-paths-node.js";
import { quantize } from "../quantize.js";
import { htmlReport } from "../report/html.js";
import { reportOf } from "../report/report.js";
import { textReport } from "../report/text.js";
import { machine } from "./machine.js";
import { checkModelName } from "./model-name.js";
import type { ProfileOptions } from "./profile-option.js";
import { jsonText, type Result, type Session } from "./session.js";
import { version } from "./version.js";

/** What `quantize` and `search` read and where they write. */
export interface OutputOptions extends ProfileOptions {
  readonly data: string;
  readonly json?: string;
  readonly output: string;
  readonly plan?: string;
  readonly report?: string;
  readonly verbose?: boolean;
  /** False for `--no-verify`. */
  readonly verify: boolean;
}

/** `name.onnx` gives `name.<suffix>` beside it. */
export function besides(output: string, suffix: string): string {
  return `${output.replace(/\.onnx$/, "")}.${suffix}`;
}

export interface QuantizeJob {
  readonly model: string;
  readonly dataset: Dataset;
  readonly limits: Limits;
  readonly run: RunOptions;
  readonly known: Analysis | undefined;
  /** Where the analysis is saved as it goes; not at all when absent. */
  readonly saveAnalysis?: string;
}

/** Quantizes a model and writes it with its plan and its report. */
export async function writeQuantized(session: Session, job: QuantizeJob, options: OutputOptions): Promise<Result> {
  const { output } = options;
  const { model, dataset, limits, run, known, saveAnalysis } = job;
  const planPath = options.plan ?? besides(output, "plan.json");
  const reportPath = options.report ?? besides(output, "report.html");
  const saved = saveAnalysis === undefined ? [] : [saveAnalysis];
  checkModelName(output);
  await checkOutputs([model, options.data, options.profile], [output, planPath, reportPath, ...saved, options.json]);
  const { signal, onProgress } = session;
  const { plan, analysis, feasible } = await quantize(model, {
    ...run,
    data: dataset,
    limits,
    output,
    verify: options.verify,
    ...(options.profile !== undefined && { profile: options.profile }),
    backend: await session.backend(),
    ...(known !== undefined && { analysis: known }),
    ...(saveAnalysis !== undefined && { onAnalysis: (part) => writeAnalysis(part, saveAnalysis) }),
    onProgress,
    signal,
  }).catch((error) => {
    throw saveAnalysis === undefined ? error : withWayOn(error, saveAnalysis);
  });
  const report = reportOf(
    { version, model: basename(model), output: basename(output), machine: machine() },
    plan,
    analysis,
  );
  await replaceTextFile(planPath, jsonText(plan));
  await replaceTextFile(reportPath, htmlReport(report));
  const files = [output, planPath, reportPath, ...saved].map((path) => `wrote ${path}`);
  const stopped = signal.aborted
    ? ["", "stopped before the end: the model is the best found so far and was not verified"]
    : [];
  return {
    text: [textReport(report, { verbose: options.verbose ?? false }), "", ...files, ...stopped].join("\n"),
    data: report,
    exitCode: signal.aborted ? 1 : feasible ? 0 : 3,
  };
}

/** Tells how to go on after a stop. */
export function withWayOn(error: unknown, saved: string): unknown {
  if (!(error instanceof BitwrightError) || error.code !== "aborted") return error;
  return new BitwrightError("aborted", error.summary, {
    remedy: existsSync(saved)
      ? `What was measured is in ${saved}; the same command goes on from there.`
      : "Nothing had been measured to its end.",
    cause: error,
  });
}
