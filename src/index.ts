export { readAnalysis, writeAnalysis } from "./analysis-node.js";
export { doctor, type Finding } from "./backend/doctor-node.js";
export { type BackendName, loadBackend } from "./backend/load-node.js";
export { type Latency, type LatencyOptions, measureLatency } from "./cost/latency-node.js";
export { type OpenDatasetOptions, openDataset } from "./data/open-node.js";
export * from "./edge.js";
export { type EvaluateOptions, evaluate, type ModelEvaluation } from "./evaluate-node.js";
export { inspectFusion } from "./export/fusion-node.js";
export {
  type ModelFile,
  modelFileBytes,
  readModelFile,
  type WriteFileOptions,
  writeModelFile,
} from "./onnx/model-node.js";
export { type QuantizeOptions, type QuantizeResult, quantize } from "./quantize.js";
