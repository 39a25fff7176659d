import type { Prediction } from "./interactions.js";

/** Share of the measured loss by which a prediction may be off and still be trusted. */
const trustedShare = 0.15;
/** Standard errors by which a prediction may be off for its samples alone to be why. */
const errorsAround = 2;

/** A configuration's predicted loss beside its measured one. */
export interface Trust extends Prediction {
  readonly measured: number;
  /** measured - predicted: third and higher orders, rounding that the choices do not account for, and the estimate's error. */
  readonly residual: number;
  /** Whether the residual is at most 15 % of the measured loss; otherwise configurations like this have to be measured. */
  readonly trusted: boolean;
  /** Whether two standard errors of the prediction cover the residual: then more samples are what it takes. */
  readonly explained: boolean;
}

/** Judges a prediction by the loss that the configuration has on samples; both are rises over the float model's mean loss. */
export function judgePrediction(prediction: Prediction, measured: number): Trust {
  const residual = measured - prediction.loss;
  const { standardError = 0 } = prediction;
  return {
    ...prediction,
    measured,
    residual,
    trusted: Math.abs(residual) <= trustedShare * Math.abs(measured),
    explained: Math.abs(residual) <= errorsAround * standardError,
  };
}
