import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeNode } from "../onnx/node.js";
import type { EdgeLayout } from "./layout.js";
import type { StoredConstants } from "./stored-constants.js";

/**
 * Puts one QuantizeLinear behind a tensor and lets the readers that the edges name read it through DequantizeLinear.
 * @param edges - All edges of the layout that read this tensor; at least one.
 */
export function quantizeActivation(
  graph: Graph,
  constants: StoredConstants,
  nodeOf: (name: string) => NodeProto,
  tensor: string,
  edges: readonly EdgeLayout[],
): void {
  const { quantizer } = edges[0]!;
  const leavesGraph = edges.some(({ node }) => node === undefined);
  const source = leavesGraph ? renameProduced(graph, tensor) : tensor;
  const codes = graph.uniqueName(`${tensor}_quantized`);
  const scale = constants.scalarScale(quantizer);
  const zeroPoint = constants.scalarZeroPoint(quantizer);
  const insert = (opType: string, inputs: readonly string[], output: string, attributes = {}) =>
    graph.insert(makeNode({ opType, name: graph.uniqueName(output), inputs, outputs: [output], attributes }));
  insert("QuantizeLinear", [source, scale, zeroPoint], codes);

  const dequantized = new Map<string, string>();
  const read = ({ perChannel }: EdgeLayout): string => {
    const key = perChannel === undefined ? "" : `${perChannel.axis} ${perChannel.size}`;
    const known = dequantized.get(key);
    if (known !== undefined) return known;
    const output = graph.uniqueName(`${tensor}_dequantized`);
    if (perChannel === undefined) insert("DequantizeLinear", [codes, scale, zeroPoint], output);
    else {
      const { axis, size } = perChannel;
      const scales = constants.scales(new Float32Array(size).fill(quantizer.scales[0]!));
      const zeroPoints = constants.zeroPoints(new Int32Array(size).fill(quantizer.zeroPoints[0]!), quantizer.signed);
      insert("DequantizeLinear", [codes, scales, zeroPoints], output, { axis: BigInt(axis) });
    }
    dequantized.set(key, output);
    return output;
  };
  for (const edge of edges) {
    if (edge.node !== undefined) graph.setInput(nodeOf(edge.node), edge.port, read(edge));
  }
  if (leavesGraph) insert("DequantizeLinear", [codes, scale, zeroPoint], tensor);
}

/** Gives a computed value another name and lets all its readers follow, so that its own name is free for what replaces it. */
function renameProduced(graph: Graph, name: string): string {
  const producer = graph.producer(name)!;
  const renamed = graph.uniqueName(`${name}_float`);
  graph.setOutput(producer, producer.output.indexOf(name), renamed);
  graph.redirect(name, renamed);
  return renamed;
}
