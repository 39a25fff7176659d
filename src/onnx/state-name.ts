import type { NodeProto } from "./generated/onnx_pb.js";
import { canonicalDomain } from "./validate.js";

const recurrent = ["RNN", "GRU", "LSTM"];

/** Whether a node multiplies a state by a weight of its own. */
export function hasState({ opType, domain }: NodeProto): boolean {
  return recurrent.includes(opType) && canonicalDomain(domain) === "";
}

/** How plans and reports call the product of a recurrent node's state. The clean-up sees to it that no node has that name. */
export function stateName(node: string): string {
  return `${node}:state`;
}
