import type { Range } from "../export/layout.js";
import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import { makeTensor } from "../onnx/initializer.js";
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
}

/** Name of the layer that stands in for what computes a tensor. */
export function sourceOf(tensor: string): string {
  return `${tensor}/source`;
}

/** Name of the layer that stands in for what reads a tensor. */
export function sinkOf(tensor: string): string {
  return `${tensor}/sink`;
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
  const fed = new Map(Object.entries(feeds));
  const add = (standIn: StandIn, name: string, input: string, output: string): NodeProto => {
    const value = values.get(standIn.tensor)!;
    const weight = `${name}/weight`;
    graph.initializer.push(makeTensor(weight, identity(standIn, value)));
    const attributes = standIn.op === "Conv" ? { group: BigInt(channelsOf(standIn, value)) } : {};
    return makeNode({ opType: standIn.op, name, inputs: [input, weight], outputs: [output], attributes });
  };
  for (const source of sources) {
    const { tensor } = source;
    const name = sourceOf(tensor);
    const value = values.get(tensor)!;
    graph.node.unshift(add(source, name, `${name}/input`, tensor));
    graph.input = [...graph.input.filter((input) => input.name !== tensor), tensorInfo(`${name}/input`, value)];
    fed.delete(tensor);
    fed.set(`${name}/input`, value);
  }
  for (const sink of sinks) {
    const { tensor } = sink;
    const name = sinkOf(tensor);
    graph.node.push(add(sink, name, tensor, `${name}/output`));
    graph.output = graph.output.filter((output) => output.name !== tensor);
    graph.output.push(tensorInfo(`${name}/output`, values.get(tensor)!));
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
  return [
    ...sources.flatMap(({ tensor }) =>
      [`${sourceOf(tensor)}/input`, tensor].map((name) => [name, rangeOf(tensor)] as [string, Range]),
    ),
    ...sinks.flatMap(({ tensor }) =>
      [tensor, `${sinkOf(tensor)}/output`].map((name) => [name, rangeOf(tensor)] as [string, Range]),
    ),
  ];
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
