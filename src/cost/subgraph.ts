import { create } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import { dataTypeCode } from "../onnx/data-types.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeTensor } from "../onnx/initializer.js";
import type { OnnxModel } from "../onnx/model.js";
import { nodeReads } from "../onnx/traverse.js";
import type { Feeds, Tensor } from "../tensor.js";
import type { TensorRole } from "./partition.js";

/** A part of a model as a model of its own. */
export interface Subgraph {
  readonly model: OnnxModel;
  /** What its inputs are in the run that the values were taken from. */
  readonly feeds: Feeds;
}

/** Consecutive nodes of a graph as a model needs them. */
export interface SubgraphBorder {
  /** Computed in front of the nodes, or inputs of the graph. */
  readonly inputs: readonly string[];
  /** Follow from shapes alone, and are computed in front of the nodes. */
  readonly shapes: readonly string[];
  /** Computed by the nodes and used behind them, or outputs of the graph. */
  readonly outputs: readonly string[];
  readonly initializers: readonly string[];
}

/**
 * What consecutive nodes of a graph take from the rest and give to it.
 * @param roles - From `tensorRoles`.
 */
export function subgraphBorder(
  graph: Graph,
  nodes: readonly NodeProto[],
  roles: ReadonlyMap<string, TensorRole>,
): SubgraphBorder {
  const inside = new Set(nodes);
  const written = new Set(nodes.flatMap(({ output }) => output.filter((name) => name !== "")));
  const read = new Set(nodes.flatMap((node) => [...nodeReads(node)]).filter((name) => !written.has(name)));
  const isStored = (name: string) => graph.initializer(name) !== undefined && !graph.isInput(name);
  const isShape = (name: string) => roles.get(name) === "shape" || roles.get(name) === "constant";
  const outside = [...read].filter((name) => !isStored(name));
  return {
    inputs: outside.filter((name) => !isShape(name)),
    shapes: outside.filter(isShape),
    outputs: [...written].filter(
      (name) => graph.isOutput(name) || (!isShape(name) && graph.uses(name).some(({ node }) => !inside.has(node))),
    ),
    initializers: [...read].filter(isStored),
  };
}

/**
 * Makes consecutive nodes a model of their own. Sizes are those of one run, so shapes that the graph computes in front of the nodes become
 * constants.
 * @param values - Of the border's inputs, shapes and outputs in one run.
 * @throws BitwrightError `engine-failure` when a value is missing.
 */
export function extractSubgraph(
  { proto, graph: { name: graphName } }: OnnxModel,
  graph: Graph,
  nodes: readonly NodeProto[],
  border: SubgraphBorder,
  values: ReadonlyMap<string, Tensor>,
): Subgraph {
  const valueNamed = (name: string): Tensor => {
    const value = values.get(name);
    if (value !== undefined) return value;
    throw new BitwrightError("engine-failure", `a part of the model needs the value "${name}", which was not read`);
  };
  const stored = border.initializers.map((name) => graph.initializer(name)!);
  const shapes = border.shapes.map((name) => makeTensor(name, valueNamed(name)));
  const model = create(ModelProtoSchema, {
    irVersion: proto.irVersion,
    opsetImport: proto.opsetImport,
    functions: proto.functions,
    graph: create(GraphProtoSchema, {
      name: graphName,
      node: [...nodes],
      initializer: [...stored, ...shapes],
      input: border.inputs.map((name) => tensorInfo(name, valueNamed(name))),
      output: border.outputs.map((name) => tensorInfo(name, valueNamed(name))),
    }),
  });
  return {
    model: { proto: model, graph: model.graph! },
    feeds: Object.fromEntries(border.inputs.map((name) => [name, valueNamed(name)])),
  };
}

/** An input or output of that tensor's type and shape. */
export function tensorInfo(name: string, { dtype, dims }: Tensor): ValueInfoProto {
  const dim = dims.map((size) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: BigInt(size) } }),
  );
  const type = { elemType: dataTypeCode(dtype), shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value: type } } });
}
