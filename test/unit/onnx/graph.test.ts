import { describe, expect, it } from "vitest";
import { capturedPort, Graph } from "../../../src/onnx/graph.js";
import { readModel, writeModel } from "../../../src/onnx/model.js";
import { makeNode } from "../../../src/onnx/node.js";
import { buildModel } from "../../support/model-builder.js";
import { runOnnx } from "../../support/onnxruntime.js";
import { ifNode } from "../../support/subgraphs.js";
import { float32, int64 } from "../../support/tensors.js";

/** y = If(condition, -a, |a|) + relu(a), a = x * w; a is read twice by nodes and by both branches. */
function branchingModel() {
  return buildModel(17)
    .input("x", [2])
    .input("condition", [], "bool")
    .constant("w", float32([2], [2, 3]))
    .node("Mul", ["x", "w"], ["a"], {}, { name: "mul" })
    .add(ifNode("condition", "a", "a", "b"))
    .node("Relu", ["a"], ["c"], {}, { name: "relu" })
    .node("Add", ["b", "c"], ["y"], {}, { name: "add" })
    .output("y", [2])
    .build();
}

const feeds = {
  x: float32([2], [1, -1]),
  condition: { dtype: "bool", dims: [], data: Uint8Array.of(0) } as const,
};

function names(uses: readonly { node: { name: string }; port: number }[]) {
  return uses.map(({ node, port }) => [node.name, port]);
}

describe("Graph", () => {
  it("knows who makes and who reads each value, inside subgraphs too", () => {
    const graph = new Graph(branchingModel());
    expect(graph.producer("a")?.name).toBe("mul");
    expect(graph.producer("x")).toBeUndefined();
    expect(names(graph.uses("a"))).toEqual([
      ["if_b", capturedPort],
      ["relu", 0],
    ]);
    expect(graph.soleUse("a")).toBeUndefined();
    expect(graph.soleUse("c")).toMatchObject({ port: 1 });
    expect(graph.soleUse("y")).toBeUndefined();
    expect(graph.isInput("x")).toBe(true);
    expect(graph.isOutput("y")).toBe(true);
    expect(graph.opset()).toBe(17);
    expect(graph.opset("acme")).toBe(0);
  });

  it("gives no sole use of a value that leaves the graph", () => {
    const model = buildModel(17)
      .input("x", [2])
      .node("Neg", ["x"], ["a"])
      .node("Relu", ["a"], ["b"])
      .node("Abs", ["b"], ["y"]);
    const graph = new Graph(model.output("a").output("y").build());
    expect(graph.soleUse("a")).toBeUndefined();
    expect(graph.soleUse("b")).toMatchObject({ port: 0 });
  });

  it("counts a value captured by one subgraph as used", () => {
    const model = buildModel(17).input("x", [2]).input("condition", [], "bool").node("Neg", ["x"], ["a"]);
    const graph = new Graph(
      model
        .add(ifNode("condition", "a", "x", "y"))
        .output("y")
        .build(),
    );
    expect(graph.uses("a")).toHaveLength(1);
    expect(graph.soleUse("a")).toBeUndefined();
  });

  it("redirects reads inside subgraphs", async () => {
    const model = branchingModel();
    const graph = new Graph(model);
    graph.insert(makeNode({ opType: "Neg", name: "neg", inputs: ["x"], outputs: ["n"] }));
    graph.redirect("a", "n");
    expect(graph.uses("a")).toEqual([]);
    expect(names(graph.uses("n"))).toEqual([
      ["if_b", capturedPort],
      ["relu", 0],
    ]);
    graph.sort();
    const { y } = await runOnnx(writeModel(readModel(writeModel(model))), feeds);
    expect([...(y!.data as Float32Array)]).toEqual([1, 2]);
  });

  it("replaces, removes and rewires nodes", async () => {
    const model = branchingModel();
    const graph = new Graph(model);
    const relu = graph.producer("c")!;
    graph.replace(relu, makeNode({ opType: "Neg", name: "neg", inputs: ["a"], outputs: ["c"] }));
    graph.setInput(graph.producer("y")!, 0, "c");
    graph.remove(graph.producer("b")!);
    expect(graph.producer("b")).toBeUndefined();
    expect(names(graph.uses("c"))).toEqual([
      ["add", 0],
      ["add", 1],
    ]);
    expect(graph.nodes.map((node) => node.name)).toEqual(["mul", "neg", "add"]);
    const { y } = await runOnnx(writeModel(model), feeds);
    expect([...(y!.data as Float32Array)]).toEqual([-4, 6]);
  });

  it("drops inputs left out at the end and fills gaps", () => {
    const model = buildModel(17).input("x", [2]).node("Clip", ["x"], ["y"]).output("y").build();
    const graph = new Graph(model);
    const clip = graph.nodes[0]!;
    graph.setInput(clip, 2, "x");
    expect(clip.input).toEqual(["x", "", "x"]);
    graph.setInput(clip, 2, "");
    expect(clip.input).toEqual(["x"]);
  });

  it("refuses a second producer of a value", () => {
    const graph = new Graph(branchingModel());
    const node = makeNode({ opType: "Neg", name: "neg", inputs: ["x"], outputs: ["a"] });
    expect(() => graph.insert(node)).toThrowError(/two producers/);
  });

  it("gives names that nothing has, subgraphs included", () => {
    const graph = new Graph(branchingModel());
    expect(graph.uniqueName("new")).toBe("new");
    expect(graph.uniqueName("new")).toBe("new_1");
    expect(graph.uniqueName("a")).toBe("a_1");
    expect(graph.uniqueName("b_then_branch")).toBe("b_then_branch_1");
    expect(graph.uniqueName("relu")).toBe("relu_1");
    expect(graph.uniqueName("")).toBe("_1");
  });

  it("tells constants from defaults of inputs", () => {
    const model = buildModel(17)
      .input("x", [2])
      .input("w", [2])
      .constant("w", float32([2], [1, 2]));
    model
      .constant("axes", int64([1], [3]))
      .node("Mul", ["x", "w"], ["y"])
      .output("y");
    const graph = new Graph(model.build());
    expect(graph.constant("w")).toBeUndefined();
    expect(graph.initializer("w")?.name).toBe("w");
    expect(graph.constant("axes")).toEqual(int64([1], [3]));
    graph.removeInput("w");
    expect(graph.constant("w")).toEqual(float32([2], [1, 2]));
    graph.setInitializer("w", float32([2], [5, 6]));
    expect(graph.constant("w")).toEqual(float32([2], [5, 6]));
    expect(graph.addInitializer("w", float32([1], [0]))).toBe("w_1");
    graph.removeInitializer("w_1");
    expect(graph.initializer("w_1")).toBeUndefined();
    expect(graph.proto.initializer.map((tensor) => tensor.name)).toEqual(["w", "axes"]);
  });

  it("sorts a chain that is longer than the call stack is deep", () => {
    const model = buildModel(17).input("x20000", [2]);
    for (let i = 0; i < 20_000; i++) model.node("Neg", [`x${i + 1}`], [`x${i}`]);
    const graph = new Graph(model.output("x0").build());
    graph.sort();
    expect(graph.nodes[0]!.input).toEqual(["x20000"]);
    expect(graph.nodes.at(-1)!.output).toEqual(["x0"]);
  });
});
