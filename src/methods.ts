import type { SearchName } from "./search/index.js";
import type { CriterionName } from "./sensitivity/index.js";

/** A whole way to a configuration, made of parts that can be chosen one by one as well. */
export interface Method {
  /** What predicts the harm of each site and format. */
  readonly criterion: CriterionName;
  readonly search: SearchName;
}

/** Methods by the name that `--method` takes. */
export const methods = {
  /** Every site in every format by itself, measured on real samples. */
  direct: { criterion: "direct", search: "bisection" },
  /** HAWQ-V2 (Dong et al., 2019): average Hessian traces times squared quantization errors. */
  "hawq-v2": { criterion: "hessian-trace", search: "bisection" },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof methods;
