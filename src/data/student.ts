import { regularizedBeta } from "./binomial.js";

/** The value that Student's t with so many degrees of freedom exceeds with the chance `tail`, in (0, 1/2). */
export function studentQuantile(tail: number, freedom: number): number {
  // P(T > t) = I_x(freedom / 2, 1 / 2) / 2 with x = freedom / (freedom + t^2), which falls from 1/2 as t grows from 0.
  let low = 0;
  let high = 1;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (regularizedBeta(middle, freedom / 2, 0.5) / 2 < tail) low = middle;
    else high = middle;
  }
  return Math.sqrt((freedom * (1 - high)) / high);
}
