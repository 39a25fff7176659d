import type { Tensor } from "../../tensor.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import { contentOf, tensorOf } from "../infer/content.js";
import { inferTypes, withContent } from "../infer/facts.js";
import { Operands } from "../infer/operands.js";
import { type CleanContext, type Note, operands, type Pass } from "./pass.js";

/** Largest result to store when it is larger than what it is computed from. */
const largestGrowth = 65536;

/**
 * Computes nodes whose outputs are the same in every run: shape arithmetic over static sizes, and whatever reads constants only,
 * such as a transposed weight. Operators are limited to those with the same result on every machine.
 */
export const foldConstants: Pass = {
  name: "fold-constants",
  run: (context) => {
    const notes: Note[] = [];
    for (const node of [...context.graph.nodes]) {
      if (node.opType === "Constant" || node.output.some((name) => context.graph.isOutput(name))) continue;
      const results = evaluate(node, context);
      if (results === undefined) continue;
      context.graph.remove(node);
      for (const [name, tensor] of results) context.graph.setInitializer(name, tensor);
      notes.push({ nodes: [node.name], explanation: `computed ${node.opType} of constants` });
    }
    return notes;
  },
};

/** The tensors of all outputs that something reads; undefined when one of them is not constant. */
function evaluate(node: NodeProto, context: CleanContext): [name: string, tensor: Tensor][] | undefined {
  const { graph, facts } = context;
  const read = node.output.filter((name) => name !== "" && graph.uses(name).length > 0);
  if (read.length === 0) return undefined;
  const results: [string, Tensor][] = [];
  const large = largeOperands(node, context);
  const types = large === undefined ? [] : inferTypes(large);
  for (const name of read) {
    const output = node.output.indexOf(name);
    const type = types[output];
    const limit =
      large === undefined
        ? 0
        : Math.max(largestGrowth, ...large.inputs.map((input) => input?.content?.data.length ?? 0));
    const content = facts.get(name)?.content ?? (large && type && withContent(large, type, output, limit).content);
    const tensor = content && tensorOf(content);
    if (tensor === undefined) return undefined;
    results.push([name, tensor]);
  }
  return results;
}

/** The node with the full contents of its inputs, those of large initializers too; undefined when one is not constant. */
function largeOperands(node: NodeProto, context: CleanContext): Operands | undefined {
  const op = operands(node, context);
  const inputs = op.inputs.map((known, port) => {
    const constant = context.graph.constant(node.input[port] ?? "");
    return known === undefined || constant === undefined ? known : { ...known, content: contentOf(constant) };
  });
  if (inputs.some((known, port) => op.has(port) && known?.content === undefined)) return undefined;
  return new Operands(node, op.opset, inputs);
}
