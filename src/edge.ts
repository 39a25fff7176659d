// Everything that runs without Node: bytes in, bytes out, on the WebAssembly engine.
export type { AnalysedSite, Analysis, Binding } from "./analysis.js";
export { type AnalyzeOptions, analyze } from "./analyze.js";
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
  RunOptions as GraphRunOptions,
  Sites,
  TensorGrid,
  ValueRange,
} from "./backend/graph-types.js";
export { type OpInfo, type OpPorts, ops, targets as kernelTargets } from "./backend/info.js";
export { fakeQuantize, quantizationError, quantizeLinear, searchScale } from "./backend/kernels.js";
export type { QuantizerSpec, RangeMethod } from "./backend/quantizer-spec.js";
export { createWasmBackend, type WasmModule } from "./backend/wasm.js";
export { bindingOf, checkBinding } from "./binding.js";
export type { HardwareProfile } from "./cost/profile.js";
export { type Band, parseKeep, parseMaxDrop, parseMaxKl, parseReach, withinBand } from "./data/band.js";
export { CarriedStates } from "./data/carried-states.js";
export type { Batch, Dataset, Selection } from "./data/dataset.js";
export { compareFigures, type FigureChange } from "./data/figure-change.js";
export { type DatasetFromOptions, datasetFrom, type FeedSource } from "./data/from-feeds.js";
export { type DatasetFromFilesOptions, datasetFromFiles } from "./data/from-files.js";
export type { DatasetManifest, SplitName } from "./data/manifest.js";
export type { CustomMetric } from "./data/metrics/custom.js";
export { metricNames } from "./data/metrics/index.js";
export type { Metric, MetricBatch, MetricChoice, Scores } from "./data/metrics/metric.js";
export { comparePaired, type PairedComparison } from "./data/statistics.js";
export { BitwrightError, type ErrorCode, type ErrorDetails } from "./errors.js";
export { EngineModel, type UnsupportedOp } from "./evaluate/engine-model.js";
export type { BiasLayout, EdgeLayout, Layout, Range, WeightLayout } from "./export/layout.js";
export { exportModel } from "./export/qdq.js";
export { type TargetName, targets } from "./export/targets/index.js";
export type { PlannedLayer, Target } from "./export/targets/target.js";
export { choiceKey, type Format, formats, type LayerChoice } from "./formats.js";
export { type InspectedLayer, type Inspection, inspect } from "./inspect.js";
export { type Change, cleanModel } from "./onnx/clean/index.js";
export { type OnnxModel, type ReadOptions, readModel, writeModel } from "./onnx/model.js";
export { encodeProgram } from "./onnx/program.js";
export { defaults, type Limits, type Options, type RunOptions, resolveOptions, type SampleRange } from "./options.js";
export { parseAnalysis } from "./parse-analysis.js";
export type { Figures, Plan, PlanLayer, Verified } from "./plan.js";
export type { Control, Progress } from "./progress.js";
export type { Granularity, Quantizer } from "./quantizer.js";
export { htmlReport } from "./report/html.js";
export { type About, type Machine, type Report, reportOf } from "./report/report.js";
export { textReport } from "./report/text.js";
export { provideSolver } from "./search/highs.js";
export { type SearchName, searches } from "./search/index.js";
export type {
  Assignment,
  Search,
  SearchGroup,
  SearchProblem,
  SearchResult,
  SearchStep,
  Verdict,
} from "./search/problem.js";
export { type SearchOptions, type SearchOutcome, searchPlan } from "./search-plan.js";
export type { Criterion, LossName, SensitivityContext, Site, SiteScore, SiteScores } from "./sensitivity/criterion.js";
export { type CriterionName, criteria } from "./sensitivity/index.js";
export { type DataType, elementCount, type Feeds, type Tensor, type TensorOf } from "./tensor.js";
export { openWorkspace, type Workspace } from "./workspace.js";
