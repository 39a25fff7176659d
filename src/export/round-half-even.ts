// From 2^52 on, doubles have no fractions: adding it leaves the rounding to the processor. Half as much again serves both signs.
const wholes = 1.5 * 2 ** 52;

/** The nearest integer, the even one of two that are equally near; for |x| up to 2^51. */
export function roundHalfEven(x: number): number {
  return x + wholes - wholes;
}
