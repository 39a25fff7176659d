import type { Dataset } from "../data/dataset.js";
import { BitwrightError } from "../errors.js";
import type { EngineModel } from "../evaluate/engine-model.js";
import { scaleIndices } from "../export/codes.js";
import { hasWeight, storedIn, type WeightedLayer } from "../export/layers.js";
import { hasReducedRange, type PlannedLayer } from "../export/targets/target.js";
import { blockQuantizer, codeLimit, takesScales, type WeightScales } from "../export/weight-quantizer.js";
import { type BlockedFormat, type Format, formats, isBlocked, type WeightFormat } from "../formats.js";
import type { OnnxModel } from "../onnx/model.js";
import { type Control, Stage } from "../progress.js";
import { type SavedWeight, type SavedWeights, saveBlocks, saveWeight } from "../rounded-weights.js";
import { elementCount, type TensorOf } from "../tensor.js";
import { ErrorFeedback } from "./error-feedback.js";
import { type LayerRows, layerRows } from "./layer-rows.js";
import { centred, type Moments, measureMoments } from "./moments.js";

/** How weights are rounded: each element by itself, or each so that it makes up for the errors of others in its row. */
export type RoundingName = (typeof roundings)[number];

export const roundings = ["error-feedback", "nearest"] as const;

export interface RoundWeightsOptions extends Control {
  readonly engine: EngineModel;
  readonly model: OnnxModel;
  readonly dataset: Dataset;
  readonly samples: Uint32Array;
  readonly batchSize: number;
  readonly seed: number;
  readonly layers: readonly PlannedLayer[];
  weight(initializer: string): TensorOf<"float32">;
  /** Scales under which each element is rounded by itself. */
  readonly weightScales: WeightScales;
  /** As layouts will have it. */
  readonly reduceRange: boolean;
}

interface Task {
  readonly layer: PlannedLayer & WeightedLayer;
  readonly rows: LayerRows;
  readonly formats: readonly WeightFormat[];
}

/**
 * Rounds every weight that multiplies vectors, in every format whose scales can be chosen and that its layer may take, with feedback of the errors under
 * the second moments of the layer's input over the samples. Where the layer has a bias, what moves the mean of its output is left out of
 * account, because bias correction takes that off.
 * @throws BitwrightError `invalid-option` for more weights than an analysis can hold.
 */
export async function roundWeights(options: RoundWeightsOptions): Promise<SavedWeights> {
  const tasks = tasksOf(options);
  checkSize(tasks);
  const moments = await measureMoments(
    tasks.map(({ layer, rows }) => ({ key: layer.weight.initializer, tensor: layer.inputs[0]!.tensor, rows })),
    options,
  );
  const rounded: Record<string, Partial<Record<Format, SavedWeight>>> = {};
  const stage = new Stage(options, "error feedback", tasks.length);
  for (const task of tasks) {
    const { initializer } = task.layer.weight;
    rounded[initializer] ??= roundWeight(task, moments.get(initializer)!, options);
    stage.step(task.layer.node);
    // Lets signals and timers in between.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return rounded;
}

/** An analysis is one JSON text, whose length JavaScript limits to 2^29 characters; the rest is for everything else in it. */
const mostCharacters = 5e8;

/** Found out before hours of work. */
function checkSize(tasks: readonly Task[]): void {
  const bytes = tasks.reduce(
    (sum, { layer, formats: wanted }) =>
      sum + wanted.reduce((bits, format) => bits + formats[format].bits, 0) * (elementCount(layer.weight.dims) / 8),
    0,
  );
  const characters = Math.ceil((bytes * 4) / 3);
  if (characters <= mostCharacters) return;
  throw new BitwrightError("invalid-option", "the model has too many weights for rounding with error feedback", {
    where: "rounding",
    expected: `codes that take at most ${mostCharacters} characters in the analysis`,
    received: `${characters}`,
    remedy: "Use --rounding nearest.",
  });
}

/** The layers with such weights. Of a weight that several layers read all have to read it alike. */
function tasksOf({ layers, model }: RoundWeightsOptions): Task[] {
  const nodes = new Map(model.graph.node.map((node) => [node.name, node]));
  const weighted = layers.filter(hasWeight);
  const tasks = weighted.flatMap((layer): Task[] => {
    const rows = layerRows(nodes.get(layer.node)!, layer);
    const narrow = layer.choices
      .map(({ weight }) => weight)
      .filter((format) => format !== "float")
      .filter((format) => takesScales(format) || isBlockOfFour(format));
    return rows === undefined || narrow.length === 0 ? [] : [{ layer, rows, formats: [...new Set(narrow)] }];
  });
  return tasks.filter(({ layer: { op, weight } }) =>
    weighted.every(
      (other) =>
        storedIn(other.weight) !== storedIn(weight) ||
        (other.op === op && other.weight.channelAxis === weight.channelAxis),
    ),
  );
}

function roundWeight(
  { layer, rows, formats: wanted }: Task,
  moments: Moments,
  { weight: weightOf, weightScales, reduceRange }: RoundWeightsOptions,
): Partial<Record<Format, SavedWeight>> {
  const { dtype, dims, data } = weightOf(layer.weight.initializer);
  // Held from here on: one that is not would be read again for each element.
  const weight = { dtype, dims, data };
  const blocked = wanted.filter(isBlockOfFour).map((format) => {
    const quantizer = blockQuantizer(layer, weight, format);
    return {
      format,
      quantizer,
      scaleOf: scaleIndices(dims, quantizer.granularity),
      codes: new Uint8Array(data.length),
    };
  });
  const grids = wanted.filter(takesScales).map((format) => {
    const { bits } = formats[format];
    const limit = codeLimit(format, reduceRange && hasReducedRange(layer, format));
    const given = weightScales({ layer, weight, limit });
    const codes = new Int8Array(data.length);
    return { format, bits, limit, given, scales: new Float32Array(given.length), codes };
  });
  const row = new Float64Array(rows.width);
  for (let group = 0; group < rows.groups; group++) {
    const product = layer.bias === undefined ? moments.products[group]! : centred(moments, group);
    const feedback = new ErrorFeedback(product, rows.width, moments.count);
    for (let r = 0; r < rows.rows; r++) {
      for (let c = 0; c < rows.width; c++) row[c] = data[rows.element(group, r, c)]!;
      const channel = group * rows.rows + r;
      for (const { given, limit, scales, codes } of grids) {
        const rounded = feedback.round(row, given[channel]!, limit);
        scales[channel] = rounded.scale;
        for (let c = 0; c < rows.width; c++) codes[rows.element(group, r, c)] = rounded.codes[c]!;
      }
      for (const { quantizer, scaleOf, codes } of blocked) {
        const elements = Array.from({ length: rows.width }, (_, c) => rows.element(group, r, c));
        const scales = Float64Array.from(elements, (element) => quantizer.scales[scaleOf[element]!]!);
        const zeroPoints = Int32Array.from(elements, (element) => quantizer.zeroPoints[scaleOf[element]!]!);
        const rounded = feedback.roundOn(row, { scales, zeroPoints, qmax: quantizer.qmax });
        for (const [c, element] of elements.entries()) codes[element] = rounded[c]!;
      }
    }
  }
  return Object.fromEntries([
    ...grids.map(({ format, scales, codes, bits }) => [format, saveWeight(scales, codes, bits)] as const),
    ...blocked.map(({ format, quantizer, codes }) => [format, saveBlocks(quantizer, codes)] as const),
  ]);
}

/** 8-bit blocks round so finely that nothing has to be made up for. */
function isBlockOfFour(format: WeightFormat): format is BlockedFormat {
  return isBlocked(format) && formats[format].bits === 4;
}
