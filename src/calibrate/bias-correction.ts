import type { Dataset } from "../data/dataset.js";
import type { EngineModel } from "../evaluate/engine-model.js";
import type { PlannedLayer } from "../export/targets/target.js";
import type { Format, WeightFormat } from "../formats.js";
import { type Control, Stage } from "../progress.js";
import { elementCount, type TensorOf } from "../tensor.js";

/** Mean shift of each output channel that rounding a layer's weight causes, by node and format. */
export type BiasShifts = Readonly<Record<string, Readonly<Partial<Record<Format, readonly number[]>>>>>;

export interface BiasCorrectionOptions extends Control {
  readonly engine: EngineModel;
  readonly dataset: Dataset;
  readonly samples: Uint32Array;
  readonly batchSize: number;
  readonly layers: readonly PlannedLayer[];
  weight(initializer: string): TensorOf<"float32">;
  /** The values that a layer's weight takes in a format. */
  rounded(layer: PlannedLayer, format: WeightFormat): Promise<Float32Array>;
}

/**
 * E[(Q(W) - W) x] for every layer with a bias, channel by channel (Nagel et al. 2019, section 4.2.1).
 *
 * The mean of what each weight element multiplies is the gradient of the layer's summed output in that element: exact for every layer that
 * is linear in its weight, paddings and strides included.
 */
export async function measureBiasShifts(options: BiasCorrectionOptions): Promise<BiasShifts> {
  const { engine, dataset, samples, batchSize, onProgress, signal } = options;
  const layers = options.layers.filter(({ bias }) => bias !== undefined);
  if (layers.length === 0) return {};
  const stage = new Stage({ onProgress, signal }, "bias correction", samples.length);
  const sums = new Map<string, Float64Array>();
  const positions = new Map<string, number>();
  for await (const batch of dataset.batches(samples, batchSize, { signal })) {
    await engine.run(batch.feeds, { keep: true, signal });
    for (const { node, output, weight } of layers) {
      const value = engine.value(output);
      const id = engine.value(weight.initializer);
      await engine.graph.loss({ kind: "sum", value });
      await engine.graph.gradient([id], { signal });
      add(sums, node, await engine.graph.readWeightGradient(id));
      const { dims } = await engine.graph.shape(value);
      positions.set(node, (positions.get(node) ?? 0) + elementCount(dims) / weight.channels);
    }
    stage.step(undefined, batch.indices.length);
  }
  const shifts: Record<string, Partial<Record<Format, number[]>>> = {};
  for (const layer of layers) {
    const sum = sums.get(layer.node)!;
    const formats = new Set(layer.choices.map(({ weight }) => weight).filter((format) => format !== "float"));
    const own: Partial<Record<Format, number[]>> = {};
    for (const format of formats) own[format] = await shiftsOf(options, layer, format, sum, positions.get(layer.node)!);
    shifts[layer.node] = own;
  }
  return shifts;
}

async function shiftsOf(
  { weight, rounded: roundedWeight }: BiasCorrectionOptions,
  layer: PlannedLayer,
  format: WeightFormat,
  sum: Float64Array,
  positions: number,
): Promise<number[]> {
  const { data, dims } = weight(layer.weight.initializer);
  const { channels, channelAxis } = layer.weight;
  const rounded = await roundedWeight(layer, format);
  const inner = elementCount(dims.slice(channelAxis + 1));
  const shifts = new Array<number>(channels).fill(0);
  for (let i = 0; i < data.length; i++) {
    shifts[Math.floor(i / inner) % channels]! += ((rounded[i]! - data[i]!) * sum[i]!) / positions;
  }
  return shifts;
}

function add(sums: Map<string, Float64Array>, name: string, more: Float64Array): void {
  const sum = sums.get(name);
  if (sum === undefined) sums.set(name, more);
  else for (let i = 0; i < sum.length; i++) sum[i]! += more[i]!;
}
