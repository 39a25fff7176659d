import { BitwrightError } from "../../../errors.js";
import type { Format, LayerChoice } from "../../../formats.js";
import type { Graph } from "../../../onnx/graph.js";
import type { Quantizer } from "../../../quantizer.js";
import type { TensorOf } from "../../../tensor.js";
import { activationQuantizer } from "../../activation-quantizer.js";
import { biasQuantizer, scalesThatHoldBias } from "../../bias-quantizer.js";
import type { Layer } from "../../layers.js";
import type { BiasLayout, Layout, Range, WeightLayout } from "../../layout.js";
import { minmaxScales, weightQuantizer } from "../../weight-quantizer.js";
import type { LayoutOptions } from "../target.js";
import { edgesOf } from "./edges.js";
import { type IntegerRegions, integerRegions } from "./regions.js";

/** Turns the choices into quantizers for weights, biases and reads of activations. */
export function layoutOf(
  graph: Graph,
  layers: readonly Layer[],
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
    if (format === "float") continue;
    const kernel = isInteger(layer) ? "integer" : "float";
    const inputScale = kernel === "integer" ? quantizerOf(layer.input.tensor).scales[0]! : undefined;
    const limit = limitOf(format, kernel, options);
    const bias = biasOf(graph, layer, format, options);
    const scales = scalesOf(graph, layer, limit, inputScale, bias?.values, options);
    weights.push({
      node: layer.node,
      port: layer.weight.port,
      initializer: layer.weight.initializer,
      quantizer: weightQuantizer(format === "int8" ? 8 : 4, limit, layer.weight.channelAxis, scales),
      storage: format,
      kernel,
    });
    if (bias === undefined) continue;
    if (inputScale !== undefined) biases.push({ ...bias, quantizer: biasQuantizer(scales, inputScale) });
    else if (bias.corrected) biases.push(bias);
  }
  return { target: "ort-cpu", weights, biases, edges: edgesOf(graph, layers, regions, isInteger, quantizerOf) };
}

/** A layer's bias with its correction taken off; one that several nodes read is nobody's to correct. */
function biasOf(
  graph: Graph,
  layer: Layer,
  format: Format,
  { biasCorrections }: LayoutOptions,
): (BiasLayout & { readonly corrected: boolean }) | undefined {
  if (layer.bias === undefined) return undefined;
  const { node, port, initializer } = layer.bias;
  const { data } = graph.constant(initializer) as TensorOf<"float32">;
  const correction = graph.uses(initializer).length === 1 ? biasCorrections?.(layer, format) : undefined;
  const values = correction === undefined ? data : data.map((value, channel) => value - correction[channel]!);
  return { node, port, initializer, values, corrected: correction !== undefined };
}

function limitOf(format: "int8" | "int4", kernel: "integer" | "float", { reduceRange }: LayoutOptions): number {
  if (format === "int4") return 7;
  return kernel === "integer" && reduceRange === true ? 63 : 127;
}

// For a channel of zeros: small, so that the channel's bias keeps its precision.
const scaleOfNothing = 2 ** -24;

function scalesOf(
  graph: Graph,
  layer: Layer,
  limit: number,
  inputScale: number | undefined,
  bias: Float32Array | undefined,
  { weightScales = minmaxScales }: LayoutOptions,
): Float32Array {
  const weight = graph.constant(layer.weight.initializer) as TensorOf<"float32">;
  const given = weightScales({ layer, weight, limit });
  if (given.length !== layer.weight.channels || given.some((scale) => !Number.isFinite(scale) || scale < 0)) {
    throw new BitwrightError("invalid-option", "the scales of a weight are not usable", {
      where: `layer "${layer.node}"`,
      expected: `${layer.weight.channels} finite numbers, 0 or more`,
      received: `${given.length} numbers, the smallest ${given.reduce((low, scale) => Math.min(low, scale), Number.POSITIVE_INFINITY)}`,
    });
  }
  const scales = given.map((scale) => (scale < 2 ** -100 ? scaleOfNothing : scale));
  return inputScale === undefined ? scales : scalesThatHoldBias(scales, bias, inputScale);
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
