import { intAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim } from "../value-types.js";
import { normalizeAxis } from "./dims.js";
import { shaped, type TypeRule } from "./operands.js";

/** A place in the grid takes the place of an element. */
const gridSample = shaped((op) => {
  const [dims, grid] = [op.dims(), op.dims(1)];
  return dims && grid && [...dims.slice(0, 2), ...grid.slice(1, -1)];
});

const roiAlign = shaped((op) => [
  op.dims(1)?.[0],
  op.dims()?.[1],
  intAttribute(op.node, "output_height", 1),
  intAttribute(op.node, "output_width", 1),
]);

/** How many boxes stay depends on their scores. */
const nonMaxSuppression: TypeRule = () => [{ dataType: Code.INT64, dims: [undefined, 3] }];

const dft = shaped((op) => {
  const dims = op.dims();
  const at = op.opset < 20 ? intAttribute(op.node, "axis", 1) : op.has(2) ? op.elements(2)?.[0] : -2;
  const axis = dims && typeof at === "number" ? normalizeAxis(at, dims.length) : undefined;
  if (dims === undefined || axis === undefined) return undefined;
  const [inverse, onesided] = ["inverse", "onesided"].map((name) => intAttribute(op.node, name, 0) !== 0);
  const mirrored = inverse && onesided;
  const taken = dims[axis];
  const whole = mirrored && typeof taken === "number" ? 2 * (taken - 1) : mirrored ? undefined : taken;
  const length = op.has(1) ? op.elements(1)?.[0] : whole;
  return dims.with(axis, onesided && !inverse ? half(length) : length).with(-1, mirrored ? 1 : 2);
});

const stft = shaped((op) => {
  const [batch, signal] = op.dims() ?? [];
  const step = op.elements(1)?.[0];
  const length = op.has(3) ? op.elements(3)?.[0] : op.has(2) ? op.dims(2)?.[0] : signal;
  const known = typeof signal === "number" && typeof length === "number" && typeof step === "number" && step > 0;
  const frames = known ? Math.floor((signal - length) / step) + 1 : undefined;
  return [batch, frames, intAttribute(op.node, "onesided", 1) === 0 ? length : half(length), 2];
});

/** Bins of a spectrum of which the other half is the mirror image. */
function half(length: Dim): Dim {
  return typeof length === "number" ? Math.floor(length / 2) + 1 : undefined;
}

const sameAsFirst: TypeRule = (op) => [{ dataType: op.type(), dims: op.dims() }];

/** Operators on signals, regions and sequences. */
export const signalTypes: Readonly<Record<string, TypeRule>> = {
  GridSample: gridSample,
  RoiAlign: roiAlign,
  NonMaxSuppression: nonMaxSuppression,
  DFT: dft,
  STFT: stft,
  ReverseSequence: sameAsFirst,
  TensorScatter: sameAsFirst,
};
