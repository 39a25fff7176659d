import { BitwrightError } from "../../../errors.js";
import { type Format, isBlocked, type LayerChoice, type WeightFormat } from "../../../formats.js";
import type { Graph } from "../../../onnx/graph.js";
import { isUniform, type Quantizer, type WeightQuantizer } from "../../../quantizer.js";
import type { TensorOf } from "../../../tensor.js";
import { activationQuantizer } from "../../activation-quantizer.js";
import { biasQuantizer, scalesThatHoldBias } from "../../bias-quantizer.js";
import { keptQuantizer } from "../../kept-quantizers.js";
import { hasWeight, type Layer, type WeightedLayer } from "../../layers.js";
import type { BiasLayout, Layout, Range, StoredCopy, WeightLayout } from "../../layout.js";
import { transposed as transposedMatrix } from "../../transposed.js";
import {
  blockQuantizer,
  quantizerOfWeight,
  type RoundedWeight,
  rowQuantizer,
  takesScales,
} from "../../weight-quantizer.js";
import { hasReducedRange, type LayoutOptions, type PlannedLayer } from "../target.js";
import { isStoredPacked } from "./choices.js";
import { edgesOf } from "./edges.js";
import { type IntegerRegions, integerRegions } from "./regions.js";

/** Turns the choices into quantizers for weights, biases and reads of activations. */
export function layoutOf(
  graph: Graph,
  layers: readonly PlannedLayer[],
  choices: ReadonlyMap<string, LayerChoice>,
  ranges: ReadonlyMap<string, Range>,
  options: LayoutOptions,
): Layout {
  const isInteger = (layer: Layer) => choices.get(layer.node)?.activation === "int8";
  const regions = integerRegions(graph, layers, isInteger);
  const quantizerOf = tensorQuantizers(regions, ranges);
  const weights: WeightLayout[] = [];
  const biases: BiasLayout[] = [];
  for (const layer of layers) {
    const format = choices.get(layer.node)?.weight ?? "float";
    if (format === "float" || !hasWeight(layer)) continue;
    const bias = biasOf(graph, layer, format, options);
    const inputScale = isInteger(layer) ? quantizerOf(layer.inputs[0]!.tensor).scales[0]! : undefined;
    const weight = weightOf(graph, layer, layers, format, inputScale, bias?.values, options);
    weights.push(weight);
    if (bias === undefined) continue;
    if (inputScale !== undefined)
      biases.push({ ...bias, quantizer: biasQuantizer(weight.quantizer.scales, inputScale, bias.axis) });
    else if (bias.corrected) biases.push(bias);
  }
  const edges = edgesOf(graph, layers, regions, isInteger, quantizerOf);
  return { target: "ort-cpu", weights, biases, edges, copies: copiesIn(layers) };
}

function copiesIn(layers: readonly Layer[]): StoredCopy[] {
  const copies = layers.flatMap(({ weight }) =>
    weight?.copyOf === undefined ? [] : [[weight.initializer, weight.copyOf] as const],
  );
  return [...new Map(copies)].map(([initializer, of]) => ({ initializer, of }));
}

/** A layer's bias with its correction taken off; one that several nodes read is nobody's to correct. */
function biasOf(
  graph: Graph,
  layer: Layer,
  format: Format,
  { biasCorrections }: LayoutOptions,
): (BiasLayout & { readonly corrected: boolean; readonly axis: number }) | undefined {
  if (layer.bias === undefined) return undefined;
  const { node, port, initializer } = layer.bias;
  const { data, dims } = graph.constant(initializer) as TensorOf<"float32">;
  const correction = graph.uses(initializer).length === 1 ? biasCorrections?.(layer, format) : undefined;
  const values = correction === undefined ? data : data.map((value, channel) => value - correction[channel]!);
  return { node, port, initializer, values, corrected: correction !== undefined, axis: dims.length - 1 };
}

/** @param inputScale - Of the codes that an integer kernel multiplies the weight by; undefined for other kernels. */
function weightOf(
  graph: Graph,
  layer: PlannedLayer & WeightedLayer,
  layers: readonly PlannedLayer[],
  format: WeightFormat,
  inputScale: number | undefined,
  bias: Float32Array | undefined,
  options: LayoutOptions,
): WeightLayout {
  const { port, initializer, channelAxis, copyOf } = layer.weight;
  if (copyOf !== undefined) {
    const original = layers.filter(hasWeight).find(({ weight }) => weight.initializer === copyOf)!;
    const layout = weightOf(graph, original, layers, format, undefined, undefined, options);
    const place = { node: layer.node, port, initializer };
    const turn = () => transposed(layout.quantizer, original.weight.dims);
    // Quantizers of blocks are the same at every call, as those of other weights are.
    const quantizer = isBlocked(format)
      ? keptQuantizer(graph.initializer(initializer)!, `${format} of ${copyOf}`, turn)
      : turn();
    return { ...layout, ...place, quantizer } as WeightLayout;
  }
  const place = { node: layer.node, port, initializer };
  const weight = graph.constant(initializer) as TensorOf<"float32">;
  const kept = <Q extends WeightQuantizer>(make: () => Q): Q =>
    keptQuantizer(graph.initializer(initializer)!, `${format} ${channelAxis}`, make);
  if (isBlocked(format)) {
    const quantizer = kept(() => blockQuantizer(layer, weight, format));
    const rounded = options.roundedWeights?.(layer, format);
    return withValues({ ...place, quantizer, storage: format, kernel: "blockwise" }, rounded);
  }
  if (isStoredPacked(graph, layer, layers, format)) {
    return { ...place, quantizer: rowQuantizer(layer, weight, format, options), storage: format, kernel: "blockwise" };
  }
  const kernel = inputScale === undefined ? "float" : "integer";
  if (!takesScales(format)) {
    return { ...place, quantizer: kept(() => quantizerOfWeight(layer, weight, format)), storage: format, kernel };
  }
  const reduceRange = options.reduceRange === true && hasReducedRange(layer, format);
  const rounded = options.roundedWeights?.(layer, format);
  const scales = rounded === undefined ? options : { weightScales: () => rounded.scales };
  const nearest = quantizerOfWeight(layer, weight, format, { ...scales, reduceRange });
  const quantizer = inputScale === undefined ? nearest : holdingBias(nearest, bias, inputScale);
  return withValues({ ...place, quantizer, storage: format, kernel }, rounded);
}

/** Values and codes are read when they are asked for: what only weighs files needs none. */
function withValues(layout: WeightLayout, rounded: RoundedWeight | undefined): WeightLayout {
  if (rounded === undefined) return layout;
  return {
    ...layout,
    get values() {
      return rounded.values;
    },
    // To other scales the values have to be rounded again.
    get codes() {
      return hasScales(layout.quantizer, rounded.scales) ? rounded.codes : undefined;
    },
  } as WeightLayout;
}

function hasScales({ scales }: WeightQuantizer, others: Float32Array): boolean {
  return scales.length === others.length && scales.every((scale, i) => scale === others[i]);
}

/** The quantizer of a matrix as one of its transpose. */
function transposed(quantizer: WeightQuantizer, [, columns]: readonly number[]): WeightQuantizer {
  const { granularity } = quantizer;
  if (granularity.kind === "tensor") return quantizer;
  const turned = { ...granularity, axis: 1 - granularity.axis };
  if (granularity.kind === "channel" || !isUniform(quantizer)) return { ...quantizer, granularity: turned };
  const { scales, zeroPoints } = quantizer;
  const width = granularity.axis === 1 ? Math.ceil(columns! / granularity.size) : columns!;
  return {
    ...quantizer,
    granularity: turned,
    scales: transposedMatrix(scales, width),
    zeroPoints: transposedMatrix(zeroPoints, width),
  };
}

function holdingBias(quantizer: WeightQuantizer, bias: Float32Array | undefined, inputScale: number): WeightQuantizer {
  return { ...quantizer, scales: scalesThatHoldBias(quantizer.scales, bias, inputScale) };
}

/** One quantizer for each tensor, made at the first request. */
function tensorQuantizers(
  { written }: IntegerRegions,
  ranges: ReadonlyMap<string, Range>,
): (tensor: string) => Quantizer {
  const known = new Map<string, Quantizer>();
  const make = (tensor: string): Quantizer => {
    const grid = written.get(tensor);
    if (grid?.kind === "same") return quantizerOf(grid.as);
    const range = ranges.get(tensor);
    if (range === undefined) {
      throw new BitwrightError("invalid-option", `the range of tensor "${tensor}" is missing`, {
        remedy: "Calibrate every tensor that the target observes",
      });
    }
    return activationQuantizer(range, grid?.ceiling);
  };
  const quantizerOf = (tensor: string): Quantizer => {
    const quantizer = known.get(tensor) ?? make(tensor);
    known.set(tensor, quantizer);
    return quantizer;
  };
  return quantizerOf;
}
