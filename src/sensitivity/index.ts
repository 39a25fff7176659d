import type { Criterion } from "./criterion.js";
import { curvature, gaussNewton, hessian } from "./curvature.js";
import { direct } from "./direct.js";
import { hessianTrace } from "./hessian-trace.js";
import { lossMse, lossMseNoise } from "./loss-mse.js";
import { noise } from "./noise.js";
import { relativeError } from "./quantization-error.js";

/** Criteria by the name that `--method` and `--criteria` take. */
export const criteria = {
  direct,
  "hessian-trace": hessianTrace,
  "quantization-error": relativeError,
  noise,
  "loss-mse": lossMse,
  "loss-mse-noise": lossMseNoise,
  curvature,
  "gauss-newton": gaussNewton,
  hessian,
} as const satisfies Record<string, Criterion>;

export type CriterionName = keyof typeof criteria;

/** Those whose costs are mean squares of the loss's error, not rises of the loss. */
export const lossErrorCriteria: ReadonlySet<CriterionName> = new Set(["loss-mse", "loss-mse-noise"]);
