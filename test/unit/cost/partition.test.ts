import { expect, it } from "vitest";
import { crossings, partition, tensorRoles } from "../../../src/cost/partition.js";
import { Graph } from "../../../src/onnx/graph.js";
import { buildModel, type ModelBuilder } from "../../support/model-builder.js";
import { int64, randomFloats, scalar } from "../../support/tensors.js";

/** A graph in short hand: `layer` nodes are named like their output, as all nodes are. */
class Sketch {
  readonly model: ModelBuilder = buildModel(17)
    .constant("k", scalar(1))
    .constant("i", int64([1], [0]));
  readonly layers = new Set<string>();

  input(...names: string[]): this {
    for (const name of names) this.model.input(name, ["N", 4]);
    return this;
  }

  layer(output: string, input: string): this {
    this.layers.add(output);
    return this.op("MatMul", output, input, "k");
  }

  op(type: string, output: string, ...inputs: string[]): this {
    this.model.node(type, inputs, [output], {}, { name: output });
    return this;
  }

  graph(...outputs: string[]): Graph {
    for (const name of outputs) this.model.output(name);
    return new Graph(this.model.build());
  }

  cuts(...outputs: string[]): string[] {
    const single = crossings(this.graph(...outputs), this.layers).filter((crossing) => crossing?.width === 1);
    return [...new Set(single.flatMap((crossing) => crossing!.open))];
  }

  parts(...outputs: string[]): string[] {
    return this.smallParts(Number.POSITIVE_INFINITY, ...outputs);
  }

  /** Parts of at most so many layers. */
  smallParts(most: number, ...outputs: string[]): string[] {
    return partition(this.graph(...outputs), this.layers, ({ length }) => length <= most).map(
      ({ nodes, cuts }) => `${nodes.map(({ name }) => name).join(" ")} > ${cuts.join(" ")}`,
    );
  }
}

const sketch = () => new Sketch();

it("cuts a chain in front of each layer, so that what is fused behind a layer stays with it", () => {
  const chain = () => sketch().input("x").op("Neg", "n", "x").layer("a", "n").op("Relu", "r", "a").layer("b", "r");
  expect(chain().op("Tanh", "t", "b").cuts("t")).toEqual(["a", "r", "b"]);
  expect(chain().op("Tanh", "t", "b").parts("t")).toEqual(["n a r > r", "b t > "]);
});

it("keeps a residual block whole, and one inside another with it", () => {
  const block = sketch().input("x").layer("stem", "x").layer("a", "stem").layer("b", "a").op("Add", "sum", "b", "stem");
  expect(block.layer("head", "sum").parts("head")).toEqual(["stem > stem", "a b sum > sum", "head > "]);
  const nested = sketch().input("x").layer("stem", "x").layer("a", "stem").layer("b", "a").op("Add", "inner", "b", "a");
  expect(nested.layer("c", "inner").op("Add", "outer", "c", "stem").layer("head", "outer").parts("head")).toEqual([
    "stem > stem",
    "a b inner c outer > outer",
    "head > ",
  ]);
});

it("keeps branches that read one tensor together", () => {
  const attention = sketch().input("x").layer("in", "x").layer("q", "in").layer("k1", "in").layer("v", "in");
  attention.op("MatMul", "scores", "q", "k1").op("Softmax", "p", "scores").op("MatMul", "mixed", "p", "v");
  expect(attention.layer("out", "mixed").parts("out")).toEqual(["in > in", "q k1 v scores p mixed > mixed", "out > "]);
});

it("sees no path in arithmetic on shapes and in constants", () => {
  const graph = sketch()
    .input("x")
    .layer("a", "x")
    .op("Shape", "s", "a")
    .op("Gather", "n", "s", "i")
    .op("Relu", "r", "a");
  graph
    .op("Concat", "shape", "n", "i")
    .op("Reshape", "flat", "r", "shape")
    .layer("b", "flat")
    .op("Reshape", "y", "b", "shape");
  expect(graph.cuts("y")).toEqual(["a", "r", "flat", "b"]);
  const roles = tensorRoles(new Graph(graph.model.build()), graph.layers);
  expect([roles.get("s"), roles.get("shape"), roles.get("flat")]).toEqual(["shape", "shape", "data"]);
});

it("lets a mask that depends on no layer enter every part", () => {
  const graph = sketch().input("x", "mask").op("Cast", "m", "mask").layer("a", "x").op("Add", "am", "a", "m");
  expect(graph.layer("b", "am").op("Add", "bm", "b", "m").layer("c", "bm").parts("c")).toEqual([
    "m a am > am",
    "b bm > bm",
    "c > ",
  ]);
});

it("does not cut a tower beside which another one starts", () => {
  const towers = sketch().input("x", "y").layer("a", "x").layer("b", "a").layer("c", "y").op("Add", "sum", "b", "c");
  expect(towers.layer("d", "sum").op("Neg", "e", "d").parts("e")).toEqual(["a b c sum > sum", "d e > "]);
});

it("lets an output leave on the way", () => {
  const heads = sketch().input("x").layer("a", "x").layer("head", "a").op("Sigmoid", "p", "head").layer("b", "a");
  expect(heads.layer("c", "b").parts("p", "c")).toEqual(["a > a", "head p > a", "b > b", "c > "]);
});

it("splits a part that is too large where the fewest tensors are open", () => {
  const skip = () => {
    const graph = sketch().input("x").layer("in", "x").layer("a", "in").layer("b", "a").layer("c", "b");
    graph.op("Add", "inner", "c", "b").layer("d", "inner").op("Add", "sum", "d", "in");
    return graph.layer("out", "sum");
  };
  expect(skip().parts("out")).toEqual(["in > in", "a b c inner d sum > sum", "out > "]);
  expect(skip().smallParts(3, "out")).toEqual([
    "in > in",
    "a > in a",
    "b > in b",
    "c inner > in inner",
    "d sum > sum",
    "out > ",
  ]);
  const branches = sketch().input("x").layer("a", "x").layer("b", "a").layer("c", "a").op("Add", "sum", "b", "c");
  expect(branches.layer("d", "sum").smallParts(1, "d")).toEqual(["a > a", "b > a b", "c sum > sum", "d > "]);
});

it("makes one part of a graph with one layer or none", () => {
  expect(sketch().input("x").layer("a", "x").op("Relu", "r", "a").parts("r")).toEqual(["a r > "]);
  expect(sketch().input("x").op("Relu", "r", "x").parts("r")).toEqual(["r > "]);
});

it("finds the tensors whose removal disconnects the layers from the output, on random graphs", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const graph = randomGraph(seed);
    expect(graph.cuts("out"), `seed ${seed}`).toEqual(separators(graph));
  }
});

/** A random graph in which everything leads to `out`. */
function randomGraph(seed: number): Sketch {
  const random = randomFloats(1000, seed, 0, 1).values();
  const below = (n: number) => Math.floor(random.next().value! * n);
  const graph = sketch().input("x", "y");
  const unread = new Set<string>();
  const recent = ["x"];
  // Mostly near ones: otherwise nothing is ever a cut.
  const near = () => recent.at(-1 - below(Math.min(recent.length, below(4) === 0 ? 8 : 2)))!;
  const pick = () => {
    const name = near();
    unread.delete(name);
    return name;
  };
  for (let i = 0; i < 14; i++) {
    const name = `n${i}`;
    const kind = below(6);
    if (kind < 2) graph.layer(name, below(12) === 0 ? "y" : pick());
    else if (kind === 2) graph.op("Relu", name, pick());
    else if (kind === 3) graph.op("Add", name, pick(), pick());
    else if (kind === 4) graph.op("Mul", name, pick(), "y");
    else graph.op("Shape", `s${i}`, near()).op("Reshape", name, pick(), `s${i}`);
    recent.push(name);
    unread.add(name);
  }
  graph.layer("last", pick());
  return graph.op("Sum", "out", "last", ...unread);
}

/** The definition, tensor by tensor: without it, no layer that starts at the inputs reaches the output by data. */
function separators(sketch: Sketch): string[] {
  const graph = new Graph(sketch.model.build());
  const roles = tensorRoles(graph, sketch.layers);
  const data = graph.nodes.filter(({ output }) => roles.get(output[0]!) === "data");
  const reads = (node: (typeof data)[number]) => node.input.filter((name) => roles.get(name) === "data");
  const starts = data.filter((node) => reads(node).length === 0);
  const reachesOutput = (removed: string) => {
    const reached = new Set(starts.map(({ output }) => output[0]!));
    reached.delete(removed);
    for (const node of data) {
      if (node.output[0] !== removed && reads(node).some((name) => reached.has(name))) reached.add(node.output[0]!);
    }
    return reached.has("out");
  };
  return data.map(({ output }) => output[0]!).filter((name) => name !== "out" && !reachesOutput(name));
}
