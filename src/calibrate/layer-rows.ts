import { BitwrightError } from "../errors.js";
import type { WeightedLayer } from "../export/layers.js";
import { intAttribute, intsAttribute, stringAttribute } from "../onnx/attributes.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { elementCount } from "../tensor.js";

/**
 * A layer's weight as matrices, one for each group of a grouped convolution, and the vectors of its input that their rows are multiplied
 * with: of a convolution the patches (im2col), of a matrix product the rows.
 */
export interface LayerRows {
  readonly groups: number;
  /** Length of a row. */
  readonly width: number;
  /** Rows of one group: output channels. */
  readonly rows: number;
  /** Where the weight's element (group, row, column) lies in the initializer. */
  element(group: number, row: number, column: number): number;
  /** The vectors in an input of these extents, samples first. */
  inputs(dims: readonly number[]): InputVectors;
}

export interface InputVectors {
  /** Vectors of one sample and group. */
  readonly positions: number;
  /** Copies a vector into a column of `out`, which has `columns` of them. */
  copy(
    input: Float32Array,
    at: { readonly sample: number; readonly position: number; readonly group: number },
    out: Float64Array,
    column: number,
    columns: number,
  ): void;
}

/** undefined for a layer whose weight is no such matrix: it is rounded to nearest. */
export function layerRows(node: NodeProto, layer: WeightedLayer): LayerRows | undefined {
  switch (layer.op) {
    case "Conv":
      return convolutionRows(node, layer);
    case "Gemm":
    case "MatMul":
      return layer.plain ? productRows(layer) : undefined;
    default:
      return undefined;
  }
}

function productRows({ weight, inputs }: WeightedLayer): LayerRows {
  const [first, second] = weight.dims as [number, number];
  const [rows, width] = weight.channelAxis === 0 ? [first, second] : [second, first];
  const [rowStride, columnStride] = weight.channelAxis === 0 ? [width, 1] : [1, rows];
  return {
    groups: 1,
    rows,
    width,
    element: (_group, row, column) => row * rowStride + column * columnStride,
    inputs(dims) {
      checkWidth(inputs[0]!.tensor, dims.at(-1)!, width);
      const positions = elementCount(dims.slice(1, -1));
      return {
        positions,
        copy(data, { sample, position }, out, column, columns) {
          const start = (sample * positions + position) * width;
          for (let k = 0; k < width; k++) out[k * columns + column] = data[start + k]!;
        },
      };
    },
  };
}

function convolutionRows(node: NodeProto, { weight, inputs }: WeightedLayer): LayerRows {
  const [outputs, channels, ...kernel] = weight.dims as [number, number, ...number[]];
  const groups = intAttribute(node, "group", 1);
  const rows = outputs / groups;
  const taps = elementCount(kernel);
  const width = channels * taps;
  return {
    groups,
    rows,
    width,
    element: (group, row, column) => (group * rows + row) * width + column,
    inputs(dims) {
      checkWidth(inputs[0]!.tensor, dims[1]!, channels * groups);
      const window = windowOf(node, kernel, dims.slice(2));
      const plane = elementCount(dims.slice(2));
      return {
        positions: window.positions,
        copy(data, { sample, position, group }, out, column, columns) {
          const offsets = window.offsets(position);
          const start = (sample * groups + group) * channels * plane;
          for (let c = 0; c < channels; c++) {
            for (let t = 0; t < taps; t++) {
              const at = offsets[t]!;
              out[(c * taps + t) * columns + column] = at < 0 ? 0 : data[start + c * plane + at]!;
            }
          }
        },
      };
    },
  };
}

interface Window {
  /** Output positions. */
  readonly positions: number;
  /** For each element of the kernel the element of a plane that it meets, -1 in the padding. Valid until the next call. */
  offsets(position: number): Int32Array;
}

/** Where a kernel meets a plane, by the attributes of a convolution. */
function windowOf(node: NodeProto, kernel: readonly number[], plane: readonly number[]): Window {
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node, "strides", ones);
  const dilations = intsAttribute(node, "dilations", ones);
  const reach = kernel.map((size, d) => (size - 1) * dilations[d]! + 1);
  const { begins, outputs } = padding(node, plane, reach, strides);
  const taps = Array.from({ length: elementCount(kernel) }, (_, t) => unravel(t, kernel));
  const found = new Int32Array(taps.length);
  let last = -1;
  return {
    positions: elementCount(outputs),
    offsets(position) {
      // Every group asks for the same.
      if (position === last) return found;
      last = position;
      const corner = unravel(position, outputs).map((at, d) => at * strides[d]! - begins[d]!);
      for (const [t, tap] of taps.entries()) {
        let offset = 0;
        for (const [d, size] of plane.entries()) {
          const at = corner[d]! + tap[d]! * dilations[d]!;
          offset = at < 0 || at >= size || offset < 0 ? -1 : offset * size + at;
        }
        found[t] = offset;
      }
      return found;
    },
  };
}

function padding(node: NodeProto, plane: readonly number[], reach: readonly number[], strides: readonly number[]) {
  const mode = stringAttribute(node, "auto_pad", "NOTSET");
  if (mode === "SAME_UPPER" || mode === "SAME_LOWER") {
    const outputs = plane.map((size, d) => Math.ceil(size / strides[d]!));
    const totals = outputs.map((count, d) => Math.max(0, (count - 1) * strides[d]! + reach[d]! - plane[d]!));
    const half = mode === "SAME_UPPER" ? Math.floor : Math.ceil;
    return { begins: totals.map((total) => half(total / 2)), outputs };
  }
  const none = new Array<number>(2 * plane.length).fill(0);
  const pads = mode === "VALID" ? none : intsAttribute(node, "pads", none);
  const outputs = plane.map(
    (size, d) => Math.floor((size + pads[d]! + pads[plane.length + d]! - reach[d]!) / strides[d]!) + 1,
  );
  return { begins: pads.slice(0, plane.length), outputs };
}

function unravel(index: number, dims: readonly number[]): number[] {
  const at = new Array<number>(dims.length);
  let rest = index;
  for (let d = dims.length - 1; d >= 0; d--) {
    at[d] = rest % dims[d]!;
    rest = Math.floor(rest / dims[d]!);
  }
  return at;
}

function checkWidth(tensor: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new BitwrightError("invalid-model", "an activation does not fit the weight that multiplies it", {
    where: tensor,
    expected: `${expected} channels`,
    received: String(found),
  });
}
