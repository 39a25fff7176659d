import { staticShapes } from "../onnx/infer/static-shapes.js";
import type { OnnxModel } from "../onnx/model.js";
import { topologicalOrder } from "../onnx/order.js";
import { nodeReads } from "../onnx/traverse.js";
import { elementCount, type Feeds } from "../tensor.js";

/**
 * About how many bytes the engine holds at most while it runs a model on some feeds: the constants, and what has been computed and is still to be
 * read, and half as much again for what operators make for themselves. As far as shapes can be told without a run.
 */
export function inferenceBytes(model: OnnxModel, feeds: Feeds): number {
  const nodes = topologicalOrder(model.graph.node);
  const shapes = staticShapes(model, new Map(Object.entries(feeds).map(([name, { dims }]) => [name, dims])));
  const bytesOf = (name: string) => sizeClass(4 * elementCount(shapes.get(name) ?? [0]));
  const fixed = [...model.graph.initializer.map(({ name }) => name), ...Object.keys(feeds)];
  const stays = new Set([...model.graph.output.map(({ name }) => name), ...fixed]);
  const readsLeft = new Map<string, number>();
  for (const node of nodes) for (const name of nodeReads(node)) readsLeft.set(name, (readsLeft.get(name) ?? 0) + 1);
  let live = fixed.reduce((sum, name) => sum + bytesOf(name), 0);
  let most = live;
  for (const node of nodes) {
    for (const name of node.output) live += bytesOf(name);
    most = Math.max(most, live);
    for (const name of nodeReads(node)) {
      const left = readsLeft.get(name)! - 1;
      readsLeft.set(name, left);
      if (left === 0 && !stays.has(name)) live -= bytesOf(name);
    }
  }
  return Math.ceil(1.5 * most);
}

/** What the engine takes for so many bytes: an eighth of a power of two at most in vain. */
function sizeClass(bytes: number): number {
  let step = 64;
  while (step * 16 <= bytes) step *= 2;
  return Math.ceil(bytes / step) * step;
}
