// Damage to bytes of any kind: what disks, networks and editors do to files.

/** @typedef {import("./choices.mjs").Choices} Choices */

/**
 * @param {Choices} random
 * @param {Uint8Array} bytes
 * @returns {{ bytes: Uint8Array, what: string }} the bytes given stay as they are
 */
export function mutateBytes(random, bytes) {
  if (bytes.length === 0) return { bytes: Uint8Array.of(random.below(256)), what: "one byte in place of none" };
  const [what, mutate] = random.pick(mutations);
  const at = random.place(bytes.length);
  const length = Math.min(bytes.length - at, 1 + random.below(1 << random.below(12)));
  const result = mutate(Buffer.from(bytes), at, length, random);
  return { bytes: result, what: `${what} at ${at}, ${length} of ${bytes.length} bytes` };
}

/** @type {[string, (bytes: Buffer, at: number, length: number, random: Choices) => Uint8Array][]} */
const mutations = [
  ["bits flipped", flipBits],
  ["bits flipped", flipBits],
  ["truncated", (bytes, at) => bytes.subarray(0, at)],
  ["truncated in front", (bytes, at) => bytes.subarray(at)],
  ["zeroed", (bytes, at, length) => bytes.fill(0, at, at + length)],
  ["set to 255", (bytes, at, length) => bytes.fill(255, at, at + length)],
  ["removed", (bytes, at, length) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])],
  ["duplicated", (bytes, at, length) => Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])],
  ["overwritten", (bytes, at, length, random) => bytes.fill(noise(random, length), at, at + length)],
  [
    "copied elsewhere",
    (bytes, at, length, random) => {
      bytes.copy(bytes, random.below(bytes.length), at, at + length);
      return bytes;
    },
  ],
];

/** @type {(bytes: Buffer, at: number, length: number, random: Choices) => Uint8Array} */
function flipBits(bytes, at, length, random) {
  for (let i = 1 + random.below(8); i > 0; i--) bytes[at + random.below(length)] ^= 1 << random.below(8);
  return bytes;
}

/** @type {(random: Choices, length: number) => Uint8Array} */
function noise(random, length) {
  return Uint8Array.from({ length }, () => random.bits());
}
