import { ortCpu } from "./ort-cpu.js";
import type { Target } from "./target.js";

/** The engines that files can be written for, by the name that `--target` takes. */
export const targets = { "ort-cpu": ortCpu } as const satisfies Record<string, Target>;

export type TargetName = keyof typeof targets;
