import { everyNode } from "../traverse.js";
import type { Note, Pass } from "./pass.js";

/** Gives every node, those of subgraphs too, a name of its own: plans and reports speak of nodes by name. */
export const nodeNames: Pass = {
  name: "node-names",
  run: ({ graph }) => {
    const notes: Note[] = [];
    const taken = new Set<string>();
    for (const node of everyNode(graph.proto)) {
      const old = node.name;
      if (old === "" || taken.has(old)) {
        node.name = graph.uniqueName(old || `${node.opType}_${node.output.find((name) => name !== "") ?? ""}`);
        notes.push({
          nodes: [node.name],
          explanation: old === "" ? "named a node without a name" : `renamed a second "${old}"`,
        });
      }
      taken.add(node.name);
    }
    return notes;
  },
};
