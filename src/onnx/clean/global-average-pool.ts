import { intAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import { normalizeAxes } from "../infer/dims.js";
import { makeNode } from "../node.js";
import { nodePass, operands } from "./pass.js";

/**
 * Writes the mean over height and width of a batch of images as GlobalAveragePool, with a Flatten behind it when the axes are
 * dropped: engines have integer kernels for those, and none for ReduceMean.
 */
export const globalAveragePool = nodePass("global-average-pool", ["ReduceMean"], (node, context) => {
  const { graph } = context;
  const op = operands(node, context);
  const rank = op.dims()?.length;
  const axes = op.parameters(1, "axes");
  if (rank !== 4 || op.type() !== Code.FLOAT || !Array.isArray(axes)) return undefined;
  const reduced = normalizeAxes(axes, rank);
  if (reduced?.length !== 2 || !reduced.includes(2) || !reduced.includes(3)) return undefined;

  const result = node.output[0]!;
  const keep = intAttribute(node, "keepdims", 1) !== 0;
  const pooled = keep ? result : graph.uniqueName(`${result}_pooled`);
  const pool = { opType: "GlobalAveragePool", name: node.name, inputs: [node.input[0]!], outputs: [pooled] };
  graph.replace(node, makeNode(pool));
  if (keep) return "its mean over height and width is a GlobalAveragePool";
  const flatten = makeNode({
    opType: "Flatten",
    name: graph.uniqueName(`${node.name}_flatten`),
    inputs: [pooled],
    outputs: [result],
    attributes: { axis: 1n },
  });
  graph.insert(flatten, graph.nodes[graph.nodes.indexOf(graph.producer(pooled)!) + 1]);
  return {
    nodes: [node.name, flatten.name],
    explanation: "its mean over height and width is a GlobalAveragePool and a Flatten",
  };
});
