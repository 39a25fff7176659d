import { floatAttribute, intAttribute } from "../onnx/attributes.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";

/** How an operator multiplies its first input by a weight. */
export interface LayerOperator {
  readonly weightPort: number;
  /** Of a recurrent operator: the weight that multiplies its state. It is a layer of its own. */
  readonly stateWeightPort?: number;
  /** Absent when the operator has no bias of its own. */
  readonly biasPort?: number;
  /** The only rank of weight that makes it a layer; any when absent. */
  readonly rank?: number;
  shape(node: NodeProto, weightDims: readonly number[]): LayerShape;
}

export interface LayerShape {
  /** Axis of the weight along which output channels lie. */
  readonly weightAxis: number;
  /** Axis of the activation that the product sums over, and its size. */
  readonly inputAxis: number;
  readonly inputChannels: number;
  readonly biasLength: number;
  /** Whether each element of the output, or each of the input, costs the same number of multiplications. */
  readonly worksPer: "output" | "input";
  readonly plain: boolean;
}

/** W is [directions, gates * hidden, inputs], R has the state's channels in place of the input's. Directions share the scales. */
const recurrent: LayerOperator = {
  weightPort: 1,
  stateWeightPort: 2,
  rank: 3,
  shape: (_node, [, gates, inputs]) => ({
    weightAxis: 1,
    inputAxis: -1,
    inputChannels: inputs!,
    biasLength: gates!,
    worksPer: "input",
    plain: true,
  }),
};

export const layerOperators: Readonly<Record<string, LayerOperator>> = {
  Conv: {
    weightPort: 1,
    biasPort: 2,
    shape: (node, [outputs, inputsOfGroup]) => ({
      weightAxis: 0,
      inputAxis: 1,
      inputChannels: inputsOfGroup! * intAttribute(node, "group", 1),
      biasLength: outputs!,
      worksPer: "output",
      plain: true,
    }),
  },
  ConvTranspose: {
    weightPort: 1,
    biasPort: 2,
    shape: (node, [inputs, outputsOfGroup]) => ({
      weightAxis: 1,
      inputAxis: 1,
      inputChannels: inputs!,
      biasLength: outputsOfGroup! * intAttribute(node, "group", 1),
      worksPer: "input",
      plain: true,
    }),
  },
  Gemm: {
    weightPort: 1,
    biasPort: 2,
    rank: 2,
    shape: (node, dims) => {
      const weightAxis = intAttribute(node, "transB", 0) === 0 ? 1 : 0;
      const transposed = intAttribute(node, "transA", 0) !== 0;
      return {
        weightAxis,
        inputAxis: transposed ? 0 : 1,
        inputChannels: dims[1 - weightAxis]!,
        biasLength: dims[weightAxis]!,
        worksPer: "output",
        plain: !transposed && floatAttribute(node, "alpha", 1) === 1 && floatAttribute(node, "beta", 1) === 1,
      };
    },
  },
  MatMul: {
    weightPort: 1,
    rank: 2,
    shape: (_node, [inputs, outputs]) => ({
      weightAxis: 1,
      inputAxis: -1,
      inputChannels: inputs!,
      biasLength: outputs!,
      worksPer: "output",
      plain: true,
    }),
  },
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
};
