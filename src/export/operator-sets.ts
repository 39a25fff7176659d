import { BitwrightError } from "../errors.js";
import type { OnnxModel } from "../onnx/model.js";
import { canonicalDomain } from "../onnx/validate.js";
import type { Layout } from "./layout.js";

/** Raises the model's operator set and IR version to the first that have what a layout needs. */
export function importOperatorSets(model: OnnxModel, layout: Layout): void {
  // DequantizeLinear takes an axis since 13; Cast takes 4-bit integers since 21, which came with IR version 10.
  const needed = layout.weights.some(({ storage }) => storage === "int4")
    ? { opset: 21n, ir: 10n }
    : { opset: 13n, ir: 7n };
  const own = model.proto.opsetImport.find(({ domain }) => canonicalDomain(domain) === "");
  if (own === undefined) {
    throw new BitwrightError("invalid-model", "the model does not import ONNX's own operator set");
  }
  if (own.version < needed.opset) own.version = needed.opset;
  if (model.proto.irVersion < needed.ir) model.proto.irVersion = needed.ir;
}
