import { toBinary } from "@bufbuild/protobuf";
import type { Analysis, Binding } from "./analysis.js";
import type { Dataset } from "./data/dataset.js";
import { hashParts } from "./data/hash.js";
import { BitwrightError } from "./errors.js";
import { divergenceFor, judgedOutput } from "./evaluate/evaluator.js";
import { demand } from "./given.js";
import { cloneMessage } from "./onnx/clone.js";
import { ModelProtoSchema } from "./onnx/generated/onnx_pb.js";
import { rawBlocks } from "./onnx/lazy-bytes.js";
import type { OnnxModel } from "./onnx/model.js";
import { everyTensor } from "./onnx/traverse.js";
import { type Options, resolveOptions } from "./options.js";

/**
 * What an analysis of this model, data and options is bound to.
 * @param model - The model as it was read, before any clean-up.
 * @param known - A saved analysis, which must be bound to the same.
 * @throws BitwrightError `stale-analysis` when it is not, saying what differs.
 */
export async function bindingOf(
  model: OnnxModel,
  dataset: Dataset,
  options: Options,
  known?: Analysis,
): Promise<Binding> {
  demand("model", model);
  demand("dataset", dataset);
  const run = resolveOptions(options);
  // Only what the numbers depend on: a search or another thread count may use the same analysis.
  const { target, formats, calibration, rounding, reduceRange, loss, samples, probes, probing, weightProbes } = run;
  const { batchSize, seed, arithmetic } = run;
  const binding: Binding = {
    model: await modelHash(model),
    data: await dataset.hash(),
    judged: { output: judgedOutput(dataset.metric, model), divergence: divergenceFor(dataset.metric, model) },
    options: {
      target,
      formats,
      calibration,
      rounding,
      reduceRange,
      loss: loss ?? null,
      samples,
      probes,
      probing,
      weightProbes,
      batchSize,
      seed,
      arithmetic,
    },
  };
  if (known !== undefined) checkBinding(known, binding);
  return binding;
}

/** @throws BitwrightError `stale-analysis` when a saved analysis is not bound to `now`, saying what differs. */
export function checkBinding(analysis: Analysis, now: Binding): void {
  demand("analysis", analysis);
  demand("binding", now);
  const { binding: saved } = analysis;
  const differ = (expected: unknown, received: unknown) => JSON.stringify(expected) !== JSON.stringify(received);
  const parts = [
    ["model", saved.model, now.model],
    ["data set", saved.data, now.data],
    ["output that is judged", saved.judged.output, now.judged.output],
    ["divergence, which the metric decides", saved.judged.divergence, now.judged.divergence],
    ...Object.entries(now.options).map(([name, value]) => [`option ${name}`, saved.options[name], value] as const),
  ] as const;
  const stale = parts.find(([, expected, received]) => differ(expected, received));
  if (stale === undefined) return;
  throw new BitwrightError("stale-analysis", `the saved analysis is of another ${stale[0]}`, {
    expected: String(JSON.stringify(stale[1])),
    received: String(JSON.stringify(stale[2])),
    remedy: "Analyze again, or use the model, data and options that it was made with.",
  });
}

/** Bytes of a tensor that are hashed at once. */
const blockSize = 1 << 26;

/** SHA-256 over the data of every tensor and then the rest: a model may be larger than what can be encoded at once. */
function modelHash(model: OnnxModel): Promise<string> {
  const rest = cloneMessage(model.proto);
  for (const tensor of everyTensor(rest)) tensor.rawData = new Uint8Array();
  const parts = function* () {
    for (const tensor of everyTensor(model.proto)) yield inTurn(rawBlocks(tensor, blockSize));
    yield inTurn([toBinary(ModelProtoSchema, rest)]);
  };
  return hashParts(parts());
}

async function* inTurn(blocks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* blocks;
}
