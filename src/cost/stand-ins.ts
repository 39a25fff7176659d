import type { Range } from "../export/layout.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { Graph } from "../onnx/graph.js";
import { makeNode } from "../onnx/node.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { type Subgraph, tensorInfo } from "./subgraph.js";

/**
 * A layer that passes a tensor on as it is. In the place of a part's neighbour it hands the tensor over, or takes it, as that would: as codes or
 * floats, in the order of channels that the engine's kernels work in, and ready to be fused with a sum.
 */
export interface StandIn {
  readonly tensor: string;
  readonly op: "Conv" | "MatMul";
  /** Name of the layer in the place of what computes the tensor, and of its input. */
  readonly source: string;
  /** Name of the layer in the place of what reads the tensor, and of its output. */
  readonly sink: string;
}

/** The channels of a tensor, by which a stand-in's weight grows: the square of them for a product. */
export function channelsOf({ op }: Pick<StandIn, "op">, { dims }: Tensor): number {
  return op === "Conv" ? dims[1]! : dims.at(-1)!;
}

/**
 * Adds stand-ins in front of inputs of a subgraph and behind its outputs, which they replace.
 * @param values - Of their tensors in the run that the subgraph's values come from.
 */
export function addStandIns(
  { model, feeds }: Subgraph,
  sources: readonly StandIn[],
  sinks: readonly StandIn[],
  values: ReadonlyMap<string, Tensor>,
): Subgraph {
  const { graph } = model;
  const names = new Graph(model);
  const fed = new Map(Object.entries(feeds));
  const add = (standIn: StandIn, name: string, input: string, output: string): NodeProto => {
    const value = values.get(standIn.tensor)!;
    const weight = names.addInitializer(`${name}_weight`, identity(standIn, value));
    const attributes = standIn.op === "Conv" ? { group: BigInt(channelsOf(standIn, value)) } : {};
    return makeNode({ opType: standIn.op, name, inputs: [input, weight], outputs: [output], attributes });
  };
  for (const standIn of sources) {
    const { tensor, source } = standIn;
    const value = values.get(tensor)!;
    graph.node.unshift(add(standIn, source, source, tensor));
    graph.input = [...graph.input.filter((input) => input.name !== tensor), tensorInfo(source, value)];
    fed.delete(tensor);
    fed.set(source, value);
  }
  for (const standIn of sinks) {
    const { tensor, sink } = standIn;
    graph.node.push(add(standIn, sink, tensor, sink));
    graph.output = graph.output.filter((output) => output.name !== tensor);
    graph.output.push(tensorInfo(sink, values.get(tensor)!));
  }
  return { model, feeds: Object.fromEntries(fed) };
}

/** Ranges of what stand-ins read and write: those of their tensors. */
export function standInRanges(
  sources: readonly StandIn[],
  sinks: readonly StandIn[],
  values: ReadonlyMap<string, Tensor>,
): [tensor: string, range: Range][] {
  const rangeOf = (tensor: string): Range => {
    let range: Range = { min: 0, max: 0 };
    for (const value of values.get(tensor)!.data as Float32Array) {
      range = { min: Math.min(range.min, value), max: Math.max(range.max, value) };
    }
    return range;
  };
  const namesOf = [
    ...sources.map(({ tensor, source }) => [tensor, source] as const),
    ...sinks.map(({ tensor, sink }) => [tensor, sink] as const),
  ];
  return namesOf.flatMap(([tensor, name]) => [tensor, name].map((of): [string, Range] => [of, rangeOf(tensor)]));
}

function identity(standIn: StandIn, value: Tensor): TensorOf<"float32"> {
  const channels = channelsOf(standIn, value);
  if (standIn.op === "Conv") {
    const dims = value.dims.map((_, axis) => (axis === 0 ? channels : 1));
    return { dtype: "float32", dims, data: new Float32Array(channels).fill(1) };
  }
  const data = new Float32Array(channels * channels);
  for (let i = 0; i < channels; i++) data[i * (channels + 1)] = 1;
  return { dtype: "float32", dims: [channels, channels], data };
}
