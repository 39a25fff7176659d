import type { LayerChoice, WeightFormat } from "../../formats.js";
import type { OnnxModel } from "../../onnx/model.js";
import type { BiasCorrections } from "../bias-quantizer.js";
import type { Layer } from "../layers.js";
import type { Layout, Range } from "../layout.js";
import type { RoundedWeights, WeightQuantizerOptions } from "../weight-quantizer.js";

/** An engine to write for: what it can run fast, and how a file must look for it to do so. */
export interface Target {
  readonly name: string;
  /** The layers of a cleaned model, in graph order, with what each may be. */
  layers(model: OnnxModel): PlannedLayer[];
  /** Every tensor whose range {@link Target.layout} may ask for. */
  observedTensors(model: OnnxModel): string[];
  /**
   * What each node reads when the layers take these choices; layers without one stay float.
   * @param model - A cleaned model: its nodes have unique names.
   * @param ranges - Ranges of the tensors of {@link Target.observedTensors}.
   * @throws BitwrightError `invalid-option` for a choice that the layer does not have, and for a range that is needed and missing.
   */
  layout(
    model: OnnxModel,
    choices: ReadonlyMap<string, LayerChoice>,
    ranges: ReadonlyMap<string, Range>,
    options?: LayoutOptions,
  ): Layout;
}

export interface PlannedLayer extends Layer {
  /** What the layer may be: float first, then from dear to cheap. */
  readonly choices: readonly LayerChoice[];
  /** Layers of one group must take the same choice. */
  readonly group: string;
}

/**
 * Whether a layer's weight keeps to 7 bits in a format where {@link LayoutOptions.reduceRange} is set: in int8, if an integer kernel may multiply it. Whether one does
 * in the end makes no difference, so that a weight has one error in a format.
 */
export function hasReducedRange({ choices }: PlannedLayer, format: WeightFormat): boolean {
  return format === "int8" && choices.some(({ weight, activation }) => weight === format && activation !== "float");
}

export interface LayoutOptions extends Pick<WeightQuantizerOptions, "weightScales"> {
  /** Weights that are not rounded to nearest; all are by default. */
  readonly roundedWeights?: RoundedWeights;
  /** What rounding the weights shifts the outputs by, to be taken off the biases; nothing by default. */
  readonly biasCorrections?: BiasCorrections;
  /**
   * Keep the int8 weights of layers that may run on integer kernels to 7 bits. Processors with AVX2 but without VNNI add pairs of products in
   * 16 bits, which 8-bit weights can overflow.
   */
  readonly reduceRange?: boolean;
}
