import type { Rows } from "./rows.js";

/** What the numbers of a row are. */
export const scales = ["logits", "probabilities"] as const;
export type Scale = (typeof scales)[number];

// Quantized probabilities can be exactly zero, where the logarithm has to stay finite.
const smallest = 2 ** -126;

/**
 * Log-probabilities of a row, written into `into`, in double. Logits are shifted by their maximum before the exponential,
 * so that large ones do not overflow; probabilities below 2^-126 count as that.
 */
export function logProbabilities(
  { values, classes }: Rows,
  row: number,
  scale: Scale,
  into: Float64Array,
): Float64Array {
  const start = row * classes;
  if (scale === "probabilities") {
    for (let c = 0; c < classes; c++) into[c] = Math.log(Math.max(values[start + c]!, smallest));
    return into;
  }
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) max = Math.max(max, values[start + c]!);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(values[start + c]! - max);
  const normalizer = max + Math.log(sum);
  for (let c = 0; c < classes; c++) into[c] = values[start + c]! - normalizer;
  return into;
}
