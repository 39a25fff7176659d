import type { NodeProto } from "../onnx/generated/onnx_pb.js";
import type { Graph } from "../onnx/graph.js";
import { makeNode } from "../onnx/node.js";
import type { ChannelAxis, EdgeLayout } from "./layout.js";
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
  const { quantizer, quantizePerChannel } = edges[0]!;
  const leavesGraph = edges.some(({ node }) => node === undefined);
  const source = leavesGraph ? renameProduced(graph, tensor) : tensor;
  const insert = (opType: string, input: string, output: string, channels: ChannelAxis | undefined) => {
    const inputs = [input, ...constants.scaleAndZeroPoint(quantizer, channels?.size)];
    const attributes = channels === undefined ? {} : { axis: BigInt(channels.axis) };
    graph.insert(makeNode({ opType, name: graph.uniqueName(output), inputs, outputs: [output], attributes }));
  };
  const codes = graph.uniqueName(`${tensor}_quantized`);
  insert("QuantizeLinear", source, codes, quantizePerChannel);

  const dequantized = new Map<string, string>();
  const read = ({ dequantizePerChannel: channels }: EdgeLayout): string => {
    const key = channels === undefined ? "" : `${channels.axis} ${channels.size}`;
    const known = dequantized.get(key);
    if (known !== undefined) return known;
    const output = graph.uniqueName(`${tensor}_dequantized`);
    insert("DequantizeLinear", codes, output, channels);
    dequantized.set(key, output);
    return output;
  };
  for (const edge of edges) {
    if (edge.node !== undefined) graph.setInput(nodeOf(edge.node), edge.port, read(edge));
  }
  if (leavesGraph) insert("DequantizeLinear", codes, tensor, undefined);
}

/** Gives a computed value another name and lets all its readers follow, so that its own name is free for what replaces it. */
function renameProduced(graph: Graph, name: string): string {
  const producer = graph.producer(name)!;
  const renamed = graph.uniqueName(`${name}_float`);
  graph.setOutput(producer, producer.output.indexOf(name), renamed);
  graph.redirect(name, renamed);
  return renamed;
}
