import type { Note, Pass } from "./pass.js";

/** Drops nodes and initializers that no output of the graph depends on. */
export const deadCode: Pass = {
  name: "dead-code",
  run: ({ graph }) => {
    const isNeeded = (name: string) => graph.isOutput(name) || graph.uses(name).length > 0;
    const dead: string[] = [];
    // Readers come after what they read: going backwards, a node's readers are gone before it is looked at.
    graph.sort();
    for (const node of [...graph.nodes].reverse()) {
      if (node.output.some(isNeeded)) continue;
      graph.remove(node);
      dead.push(node.name);
    }
    const unread = graph.proto.initializer.filter(({ name }) => !isNeeded(name) && !graph.isInput(name));
    for (const { name } of unread) graph.removeInitializer(name);
    const notes: Note[] = [];
    if (dead.length > 0) notes.push({ nodes: dead.reverse(), explanation: "removed: nothing reads them" });
    if (unread.length > 0)
      notes.push({ nodes: [], explanation: `removed ${unread.length} initializers that nothing reads` });
    return notes;
  },
};
