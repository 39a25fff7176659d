import { cpus } from "node:os";
import type { Machine } from "../report/report.js";

/** The machine that latencies are measured on. */
export function machine(): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() || process.arch,
    cores: all.length,
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
  };
}
