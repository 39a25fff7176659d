import { decodeBytes, decodeFloats, encodeBytes, encodeFloats } from "./base64.js";
import { BitwrightError } from "./errors.js";
import { dequantizeCodes, eachStretch, scaleCount } from "./export/codes.js";
import type { LayerWeight, WeightedLayer } from "./export/layers.js";
import type { RoundedWeight, RoundedWeights } from "./export/weight-quantizer.js";
import { type BlockedFormat, type Format, formats, isBlocked, type WeightFormat } from "./formats.js";
import { packCodes, unpackCodes } from "./onnx/packed-codes.js";
import type { Quantizer } from "./quantizer.js";
import { elementCount } from "./tensor.js";

/** Weights that are not rounded to nearest, by initializer and format, as an analysis keeps them. */
export type SavedWeights = Readonly<Record<string, Readonly<Partial<Record<Format, SavedWeight>>>>>;

/** In base64. */
export interface SavedWeight {
  /** float32, one for each output channel, or for each block. */
  readonly scales: string;
  /** int8; two in a byte where no format needs more than 4 bits. */
  readonly codes: string;
  /** One for each block, packed like the codes; absent where codes are symmetric. */
  readonly zeroPoints?: string;
}

export function saveWeight(scales: Float32Array, codes: Int8Array, bits: number): SavedWeight {
  const bytes = bits === 4 ? packCodes(codes, 4) : new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
  return { scales: encodeFloats(scales), codes: encodeBytes(bytes) };
}

/** Codes of 4 bits, with a scale and a zero point for each block. */
export function saveBlocks({ scales, zeroPoints }: Quantizer, codes: Uint8Array): SavedWeight {
  return {
    scales: encodeFloats(scales),
    codes: encodeBytes(packCodes(codes, 4)),
    zeroPoints: encodeBytes(packCodes(Uint8Array.from(zeroPoints), 4)),
  };
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

/**
 * The scales, with the values that are read when they are asked for: sizes of files need none.
 * @throws BitwrightError `invalid-data` when it does not fit the layer.
 */
function readWeight(saved: SavedWeight, layer: WeightedLayer, format: WeightFormat): RoundedWeight {
  const { weight } = layer;
  if (isBlocked(format)) return readBlocks(saved, layer, format);
  const expected = `${weight.channels} scales and ${elementCount(weight.dims)} codes in base64`;
  const scales = ifReadable(() => decodeFloats(saved.scales));
  if (scales?.length !== weight.channels) throw unusable(weight, format, expected);
  const readCodes = () => {
    const codes = codesOf(saved, elementCount(weight.dims), format === "int4");
    if (codes === undefined) throw unusable(weight, format, expected);
    return codes;
  };
  let values: Float32Array | undefined;
  return {
    scales,
    get values() {
      values ??= valuesOf(readCodes(), scales, weight);
      return values;
    },
    get codes() {
      return readCodes();
    },
  };
}

/** undefined when there are not as many codes as weights. */
function codesOf(saved: SavedWeight, count: number, packed: boolean): Int8Array | undefined {
  const bytes = ifReadable(() => decodeBytes(saved.codes));
  if (bytes?.length !== (packed ? Math.ceil(count / 2) : count)) return undefined;
  return packed ? (unpackCodes(bytes, 4, true, count) as Int8Array) : new Int8Array(bytes.buffer);
}

/** Codes times scales. */
function valuesOf(codes: Int8Array, scales: Float32Array, { dims, channelAxis }: LayerWeight): Float32Array {
  const values = new Float32Array(codes.length);
  const granularity = { kind: "channel", axis: channelAxis } as const;
  eachStretch(dims, granularity, (begin, end, first, step) => {
    for (let i = begin, s = first; i < end; i++, s += step) values[i] = codes[i]! * scales[s]!;
  });
  return values;
}

function readBlocks(saved: SavedWeight, { weight }: WeightedLayer, format: BlockedFormat): RoundedWeight {
  const { dims, channelAxis } = weight;
  const granularity = { kind: "block", axis: 1 - channelAxis, size: formats[format].block } as const;
  const [count, blocks] = [elementCount(dims), scaleCount(dims, granularity)];
  const scales = ifReadable(() => decodeFloats(saved.scales));
  const codes = ifReadable(() => decodeBytes(saved.codes));
  const zeroPoints = ifReadable(() => decodeBytes(saved.zeroPoints ?? ""));
  const isWhole = (bytes: Uint8Array | undefined, length: number) => bytes?.length === Math.ceil(length / 2);
  if (scales?.length !== blocks || !isWhole(codes, count) || !isWhole(zeroPoints, blocks)) {
    throw unusable(weight, format, `${blocks} scales and zero points, and ${count} codes in base64`);
  }
  const integers = (bytes: Uint8Array, length: number) => Int32Array.from(unpackCodes(bytes, 4, false, length));
  const quantizer: Quantizer = {
    bits: 4,
    signed: false,
    qmin: 0,
    qmax: 15,
    granularity,
    scales,
    zeroPoints: integers(zeroPoints!, blocks),
  };
  return { scales, values: dequantizeCodes(integers(codes!, count), dims, quantizer) };
}

function unusable({ initializer }: LayerWeight, format: Format, expected: string): BitwrightError {
  return new BitwrightError("invalid-data", "a rounded weight of the analysis is not usable", {
    where: `roundedWeights, ${initializer}, ${format}`,
    expected,
    remedy: "Analyze again.",
  });
}

function ifReadable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    // Not base64.
    return undefined;
  }
}
