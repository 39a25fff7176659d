// Random choices that depend on (seed, case) alone, so that a case can be made again by itself.

import { Random } from "../../examples/shapes/random.mjs";

/** @typedef {InstanceType<typeof Choices>} Choices */
export class Choices extends Random {
  /**
   * @template T
   * @param {readonly T[]} items
   * @returns {T}
   */
  pick(items) {
    return items[this.below(items.length)];
  }

  /** @param {number} share in [0, 1] */
  chance(share) {
    return this.between(0, 1) < share;
  }

  /**
   * An index into `count` items, most often near an end: headers, last nodes and first axes break more than middles do.
   * @param {number} count
   */
  place(count) {
    const near = Math.min(count, 1 + this.below(1 << (1 + this.below(11))));
    return this.chance(0.5) ? this.below(count) : this.chance(0.6) ? this.below(near) : count - 1 - this.below(near);
  }

  /** An integer that code tends to trip over. */
  hostileInteger() {
    return this.pick(hostileIntegers);
  }

  /** A float that code tends to trip over. */
  hostileFloat() {
    return this.pick(hostileFloats);
  }
}

const powers = [31n, 32n, 40n, 46n, 53n, 62n].flatMap((power) => [1n << power, -(1n << power), (1n << power) - 1n]);
const hostileIntegers = [
  ...[0n, 0n, -1n, -1n, 1n, 2n, -2n, 3n, -3n, 5n, 7n, 16n, 64n, 255n, 256n, 1000n, 65535n, 65536n, 1000003n, 99999999n],
  ...powers,
  (1n << 63n) - 1n,
  -(1n << 63n),
];
const hostileFloats = [0, -0, 1, -1, 1e-45, -1e-30, 1e-7, 1e30, -3.4e38, 3.4e38, Number.NaN, Infinity, -Infinity];
