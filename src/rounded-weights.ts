import { decodeBytes, decodeFloats, encodeBytes, encodeFloats } from "./base64.js";
import { BitwrightError } from "./errors.js";
import type { WeightedLayer } from "./export/layers.js";
import type { RoundedWeight, RoundedWeights } from "./export/weight-quantizer.js";
import type { Format } from "./formats.js";
import { packCodes, unpackCodes } from "./onnx/packed-codes.js";
import { elementCount } from "./tensor.js";

/** Weights that are not rounded to nearest, by initializer and format, as an analysis keeps them. */
export type SavedWeights = Readonly<Record<string, Readonly<Partial<Record<Format, SavedWeight>>>>>;

/** In base64. */
export interface SavedWeight {
  /** float32, one for each output channel. */
  readonly scales: string;
  /** int8; two in a byte where no format needs more than 4 bits. */
  readonly codes: string;
}

export function saveWeight(scales: Float32Array, codes: Int8Array, bits: number): SavedWeight {
  const bytes = bits === 4 ? packCodes(codes, 4) : new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
  return { scales: encodeFloats(scales), codes: encodeBytes(bytes) };
}

/** What was read of saved weights so far; layouts tell weights apart by their arrays, so all have to share them. */
const read = new WeakMap<SavedWeight, RoundedWeight>();

/** The weights as layouts take them, each read when it is first asked for. */
export function readWeights(saved: SavedWeights): RoundedWeights {
  return (layer, format) => {
    const weight = saved[layer.weight.initializer]?.[format];
    if (weight === undefined) return undefined;
    const known = read.get(weight) ?? readWeight(weight, layer, format);
    read.set(weight, known);
    return known;
  };
}

/** @throws BitwrightError `invalid-data` when it does not fit the layer. */
function readWeight(saved: SavedWeight, { weight }: WeightedLayer, format: Format): RoundedWeight {
  const count = elementCount(weight.dims);
  const scales = ifReadable(() => decodeFloats(saved.scales));
  const bytes = ifReadable(() => decodeBytes(saved.codes));
  const packed = format === "int4";
  if (scales?.length !== weight.channels || bytes?.length !== (packed ? Math.ceil(count / 2) : count)) {
    throw new BitwrightError("invalid-data", "a rounded weight of the analysis is not usable", {
      where: `roundedWeights, ${weight.initializer}, ${format}`,
      expected: `${weight.channels} scales and ${count} codes in base64`,
      remedy: "Analyze again.",
    });
  }
  const codes = packed ? unpackCodes(bytes, 4, true, count) : new Int8Array(bytes.buffer);
  const inner = elementCount(weight.dims.slice(weight.channelAxis + 1));
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = codes[i]! * scales[Math.floor(i / inner) % weight.channels]!;
  return { scales, values };
}

function ifReadable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    // Not base64.
    return undefined;
  }
}
