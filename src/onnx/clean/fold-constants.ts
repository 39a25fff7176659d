import type { Tensor } from "../../tensor.js";
import { dataTypeCode } from "../data-types.js";
import type { NodeProto, TensorProto } from "../generated/onnx_pb.js";
import { contentOf, tensorOf } from "../infer/content.js";
import { inferTypes, withContent } from "../infer/facts.js";
import { Operands } from "../infer/operands.js";
import { makeLazyTensor } from "../initializer.js";
import { lazyBytesOf } from "../lazy-bytes.js";
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
      for (const [name, stored] of results) context.graph.setInitializer(name, stored);
      notes.push({ nodes: [node.name], explanation: `computed ${node.opType} of constants` });
    }
    return notes;
  },
};

/** What all outputs that something reads hold; undefined when one of them is not constant. */
function evaluate(node: NodeProto, context: CleanContext): [name: string, stored: Tensor | TensorProto][] | undefined {
  const { graph, facts } = context;
  const read = node.output.filter((name) => name !== "" && graph.uses(name).length > 0);
  if (read.length === 0) return undefined;
  const results: [string, Tensor | TensorProto][] = [];
  const withContents = largeOperands(node, context);
  const large = withContents?.();
  const types = large === undefined ? [] : inferTypes(large);
  const isHeld = (name: string) => {
    const stored = graph.initializer(name);
    return stored === undefined || lazyBytesOf(stored) === undefined;
  };
  for (const name of read) {
    const output = node.output.indexOf(name);
    const type = types[output];
    const limit =
      large === undefined
        ? 0
        : Math.max(largestGrowth, ...large.inputs.map((input) => input?.content?.data.length ?? 0));
    const contentFrom = (op: Operands | undefined) => op && type && withContent(op, type, output, limit).content;
    const content = facts.get(name)?.content ?? contentFrom(large);
    const tensor = content && tensorOf(content);
    if (tensor === undefined) return undefined;
    if (node.input.every(isHeld)) {
      results.push([name, tensor]);
      continue;
    }
    // What is made of a weight that is not held in memory is not held either.
    const again = () => tensorOf(contentFrom(withContents!())!)!;
    results.push([name, makeLazyTensor(name, tensor.dims, dataTypeCode(tensor.dtype), again)]);
  }
  return results;
}

/** Reads the full contents of a node's inputs, those of large initializers too; undefined when one is not constant. */
function largeOperands(node: NodeProto, context: CleanContext): (() => Operands) | undefined {
  const op = operands(node, context);
  const constants = node.input.map((name) => context.graph.constant(name));
  const isKnown = (port: number) => constants[port] !== undefined || op.inputs[port]?.content !== undefined;
  // Before anything large is read.
  if (op.inputs.some((_, port) => op.has(port) && !isKnown(port))) return undefined;
  return () => {
    const inputs = op.inputs.map((known, port) => {
      const constant = constants[port];
      return known === undefined || constant === undefined ? known : { ...known, content: contentOf(constant) };
    });
    return new Operands(node, op.opset, inputs);
  };
}
