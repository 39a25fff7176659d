import { hasState, stateName } from "../state-name.js";
import { everyNode } from "../traverse.js";
import type { Note, Pass } from "./pass.js";

/**
 * Gives every node, those of subgraphs too, a name of its own, which is not what the state of a recurrent node is called either: plans and
 * reports speak of nodes by name.
 */
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
    for (const { name } of [...graph.nodes].filter(hasState)) {
      const state = stateName(name);
      for (const node of graph.nodes) {
        if (node.name !== state) continue;
        node.name = graph.uniqueName(state);
        notes.push({ nodes: [node.name], explanation: `renamed "${state}", as the state of "${name}" is called` });
      }
    }
    return notes;
  },
};
