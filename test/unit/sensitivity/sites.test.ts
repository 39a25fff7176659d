import { expect, test } from "vitest";
import { targets } from "../../../src/export/targets/index.js";
import { minmaxScales } from "../../../src/export/weight-quantizer.js";
import { sitesOf } from "../../../src/sensitivity/sites.js";
import { layoutOptions, type Workspace } from "../../../src/workspace.js";
import { buildModel } from "../../support/model-builder.js";
import { int64, randomTensor } from "../../support/tensors.js";

// Two products with biases of their own kinds, and one that reads the first's weight again.
const model = buildModel(17)
  .input("x", ["N", 6])
  .constant("shared", randomTensor([6, 6], 1))
  .constant("added", randomTensor([6], 2))
  .constant("last", randomTensor([6, 3], 3))
  .constant("bias", randomTensor([3], 4))
  .node("MatMul", ["x", "shared"], ["a"], {}, { name: "first" })
  .node("Add", ["a", "added"], ["b"], {}, { name: "sum" })
  .node("Relu", ["b"], ["c"])
  .node("MatMul", ["c", "shared"], ["d"], {}, { name: "second" })
  .node("Gemm", ["d", "last", "bias"], ["y"], {}, { name: "third" })
  .output("y")
  .build();
const target = targets["ort-cpu"];
const workspace = { target, model, layers: target.layers(model), weightScales: minmaxScales } as unknown as Workspace;
const ranges = new Map(["x", "a", "b", "c", "d", "y"].map((tensor) => [tensor, { min: -2, max: 3 }]));
const dims = new Map(["x", "c", "d"].map((tensor) => [tensor, [2, 6]]));
const shifts = { first: { int8: [1, 2, 3, 4, 5, 6] }, third: { int4: [1, 2, 3] } };

test("every site alone is the layout in which one layer has the format and the rest is float", () => {
  const sites = sitesOf(workspace, ranges, { roundedWeights: {}, biasShifts: shifts, reducesRange: false }, dims);
  const ids = ["first", "second", "third"].flatMap((node) => [`${node}/weight`, `${node}/activation`]);
  expect(sites.map(({ id }) => id)).toEqual(ids);
  for (const site of sites) {
    expect(site.quantizers.size).toBeGreaterThan(0);
    for (const [format, quantizer] of site.quantizers) {
      const { weights, biases, edges } = site.alone(format);
      if (site.kind === "weight") {
        const choice = new Map([[site.node, { weight: format, activation: "float" }]] as const);
        const layout = target.layout(
          model,
          choice,
          ranges,
          layoutOptions(workspace, { roundedWeights: {}, biasShifts: shifts, reducesRange: false }),
        );
        expect({ weights, biases, edges }).toEqual({ weights: layout.weights, biases: layout.biases, edges: [] });
        expect(quantizer).toBe(weights[0]!.quantizer);
      } else {
        expect({ weights, biases }).toEqual({ weights: [], biases: [] });
        expect(edges).toEqual([{ node: site.node, port: site.port, tensor: site.tensor, quantizer }]);
      }
    }
  }
  const corrected = sites.find(({ id }) => id === "first/weight")!.alone("int8").biases;
  expect(corrected.map(({ node, initializer }) => [node, initializer])).toEqual([["sum", "added"]]);
});

test("tables are sites of weights alone, products of two activations of both inputs", () => {
  const net = buildModel(17)
    .input("words", ["N", 4], "int64")
    .input("end", [1], "int64")
    .constant("table", randomTensor([50, 32], 1))
    .constant("positions", randomTensor([40, 32], 2))
    .constant("start", int64([1], [0]))
    .node("Gather", ["table", "words"], ["t"], {}, { name: "embed" })
    .node("Slice", ["positions", "start", "end", "start"], ["p"], {}, { name: "slice" })
    .node("Add", ["t", "p"], ["h"], {}, { name: "sum" })
    .node("Transpose", ["h"], ["k"], { perm: [0n, 2n, 1n] })
    .node("MatMul", ["h", "k"], ["y"], {}, { name: "product" })
    .output("y")
    .build();
  const layers = target.layers(net);
  const inputs = [{ name: "words", batchAxis: 0 }, { name: "end" }];
  const own = {
    ...workspace,
    model: net,
    layers,
    dataset: { inputs },
    options: { batchSize: 8 },
  } as unknown as Workspace;
  const known = new Map(["h", "k", "y"].map((tensor) => [tensor, { min: -2, max: 3 }]));
  const shapes = new Map(["h", "k"].map((tensor) => [tensor, [2, 4, 32]]));
  const sites = sitesOf(own, known, { roundedWeights: {}, biasShifts: {}, reducesRange: false }, shapes);
  expect(sites.map(({ id, kind, tensor, elements }) => [id, kind, tensor, elements])).toEqual([
    ["embed/weight", "weight", "table", 1600],
    ["slice/weight", "weight", "positions", 1280],
    ["product/activation", "activation", "h", 128],
    ["product/second activation", "activation", "k", 128],
  ]);
  expect([...sites[2]!.quantizers.keys()]).toEqual(["int8"]);
});
