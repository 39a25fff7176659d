/**
 * A 32-bit mixing function with low bias (C. Wellons, hash-prospector, "lowbias32").
 * @param {number} value any 32-bit integer
 */
function mix(value) {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * Numbers that depend on (seed, index, how many were drawn) alone, so that an image is the same however many others are
 * made with it.
 */
export class Random {
  #key;
  #drawn = 0;

  /**
   * @param {number} seed
   * @param {number} index
   */
  constructor(seed, index) {
    this.#key = mix(mix(seed) + index);
  }

  /** An integer from 0 to 2^32 - 1. */
  bits() {
    return mix(this.#key ^ mix(this.#drawn++));
  }

  /**
   * A number from `low` up to, not including, `high`.
   * @param {number} low
   * @param {number} high
   */
  between(low, high) {
    return low + ((high - low) * this.bits()) / 0x1_0000_0000;
  }

  /**
   * An integer from 0 to `count` - 1.
   * @param {number} count
   */
  below(count) {
    return this.bits() % count;
  }

  /** Nearly normal with mean 0 and variance 1: the sum of four bytes (Irwin-Hall). */
  normal() {
    const bits = this.bits();
    const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
    return (sum - 510) / Math.sqrt(21845);
  }

  /**
   * Cosine and sine of an angle that is uniform over the circle.
   * @returns {[cos: number, sin: number]}
   */
  direction() {
    for (;;) {
      const x = this.between(-1, 1);
      const y = this.between(-1, 1);
      const length = Math.sqrt(x * x + y * y);
      if (length > 0.1 && length < 1) return [x / length, y / length];
    }
  }

  /**
   * A colour with channels from `low` to `high`.
   * @param {number} low
   * @param {number} high
   * @returns {[red: number, green: number, blue: number]}
   */
  colour(low, high) {
    return [this.between(low, high), this.between(low, high), this.between(low, high)];
  }
}
