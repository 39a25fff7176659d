import type { SearchName } from "./search/index.js";
import type { CriterionName } from "./sensitivity/index.js";
import type { InteractionSource } from "./sensitivity/interactions.js";

/** A whole way to a configuration, made of parts that can be chosen one by one as well. */
export interface Method {
  /** What predicts the harm of each site and format. */
  readonly criterion: CriterionName;
  /** Where second-order terms between sites come from. */
  readonly interactions: InteractionSource;
  readonly search: SearchName;
}

/** Methods by the name that `--method` takes. */
export const methods = {
  /** Inner products of Fisher probes with the errors themselves give every cost and every term between two sites. */
  curvature: { criterion: "curvature", interactions: "fisher", search: "quadratic-program" },
  /** Traces of Hessians augmented with what sites add to each other (arXiv 2306.04879, our reading). */
  "augmented-hessian": { criterion: "hessian-trace", interactions: "hessian", search: "bisection" },
  /** Every site in every format by itself, measured on real samples. */
  direct: { criterion: "direct", interactions: "none", search: "bisection" },
  /** HAWQ-V2 (Dong et al., 2019): average Hessian traces times squared quantization errors. */
  "hawq-v2": { criterion: "hessian-trace", interactions: "none", search: "pareto" },
  /** First-order changes of the loss, squared, under an integer program (arXiv 2505.13060, our reading). */
  "loss-mse": { criterion: "loss-mse", interactions: "none", search: "integer-program" },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof methods;
