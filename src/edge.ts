// Everything that runs without Node: bytes in, bytes out, on the WebAssembly engine.
export type { Backend } from "./backend/backend.js";
export { Graph } from "./backend/graph.js";
export type {
  Abortable,
  EdgeQuantizer,
  GradientOptions,
  GraphOptions,
  HessianForms,
  HessianOptions,
  Loss,
  NodeInfo,
  RunOptions,
  Sites,
  TensorGrid,
  ValueRange,
} from "./backend/graph-types.js";
export { type OpInfo, type OpPorts, ops, targets } from "./backend/info.js";
export { fakeQuantize, quantizationError, quantizeLinear, searchScale } from "./backend/kernels.js";
export type { QuantizerSpec, RangeMethod } from "./backend/quantizer-spec.js";
export { createWasmBackend, type WasmModule } from "./backend/wasm.js";
export { BitwrightError, type ErrorCode, type ErrorDetails } from "./errors.js";
export type { Granularity, Quantizer } from "./quantizer.js";
export type { DataType, Feeds, Tensor, TensorOf } from "./tensor.js";
