import { expect, it } from "vitest";
import {
  combinations,
  type LatencyModel,
  latencyResource,
  partGains,
  predictLatency,
  typicalError,
} from "../../../src/cost/latency-model.js";
import { parseLatencyModel } from "../../../src/cost/parse-latency-model.js";
import { parseJson } from "../../../src/data/json.js";
import type { PlannedLayer } from "../../../src/export/targets/target.js";
import { choiceKey, type LayerChoice } from "../../../src/formats.js";

const float: LayerChoice = { weight: "float", activation: "float" };
const small: LayerChoice = { weight: "int8", activation: "float" };
const integer: LayerChoice = { weight: "int8", activation: "int8" };
const kernels = { "float/float": "float", "int8/float": "float", "int8/int8": "integer" };

/** A block of two layers, then one: 10 ms in float. */
const model: LatencyModel = {
  floatMs: 10,
  accountedMs: 9,
  kernels: { a: kernels, b: kernels, c: kernels },
  parts: [
    {
      layers: ["a", "b"],
      neighbours: [],
      floatMs: 6,
      rows: [
        { kernels: ["float", "float"], carried: [], extraMs: 0 },
        { kernels: ["float", "integer"], carried: [], extraMs: -1 },
        { kernels: ["integer", "float"], carried: [], extraMs: 0.5 },
        { kernels: ["integer", "integer"], carried: [], extraMs: -3 },
      ],
    },
    {
      layers: ["c"],
      neighbours: ["a"],
      floatMs: 4,
      rows: [
        { kernels: ["float"], carried: ["float"], extraMs: 0 },
        { kernels: ["float"], carried: ["codes"], extraMs: 8 },
        { kernels: ["integer"], carried: ["float"], extraMs: -2 },
        { kernels: ["integer"], carried: ["codes"], extraMs: -4 },
      ],
    },
  ],
  borders: [
    {
      tensors: ["t"],
      neighbours: ["b", "c"],
      floatMs: -1,
      rows: [
        { carried: ["float", "float"], extraMs: 0 },
        { carried: ["float", "codes"], extraMs: 0.25 },
        { carried: ["codes", "float"], extraMs: 0.125 },
        { carried: ["codes", "codes"], extraMs: -0.5 },
      ],
    },
  ],
  checks: [
    { integerLayers: 3, measuredMs: 2, predictedMs: 2.5 },
    { integerLayers: 1, measuredMs: 10, predictedMs: 9 },
    { integerLayers: 2, measuredMs: 5, predictedMs: 5 },
  ],
};

it("adds what parts and borders change to the float model's time", () => {
  const time = (a: LayerChoice, b: LayerChoice, c: LayerChoice) =>
    predictLatency(model, new Map(Object.entries({ a, b, c })));
  expect(time(float, float, float)).toBe(10);
  expect(time(float, integer, float)).toBe(10 - 1 + 0.125);
  expect(time(integer, integer, integer)).toBe(10 - 3 - 4 - 0.5);
  expect(time(integer, small, float)).toBe(10 + 0.5 + 8);
  expect(time(integer, small, integer)).toBe(10 + 0.5 - 4 + 0.25);
  expect(predictLatency(model, new Map([["c", integer]]))).toBe(10 - 2 + 0.25);
});

it("tells what parts gain on integer kernels among float and among integer ones", () => {
  expect(partGains(model)).toEqual([
    { layers: ["a", "b"], amongFloatMs: 3 - 8 - 0.125, amongIntegerMs: 10 - 2 + 0.25 - (10 - 3 - 4 - 0.5) },
    { layers: ["c"], amongFloatMs: 2 - 0.25, amongIntegerMs: 10 - 3 + 8 + 0.125 - (10 - 3 - 4 - 0.5) },
  ]);
});

it("tells its typical error", () => {
  expect(typicalError(model)).toBeCloseTo(0.1, 12);
  expect(typicalError({ ...model, checks: [] })).toBeUndefined();
});

it("refuses a configuration that was not measured", () => {
  const blocks: LayerChoice = { weight: "int4b32", activation: "float" };
  expect(() => predictLatency(model, new Map([["c", blocks]]))).toThrow(/lacks a configuration.*int4b32\/float/s);
});

it("is read as it was saved, and refused when a part of it is missing", () => {
  const saved = JSON.stringify(model);
  expect(parseLatencyModel(parseJson(saved, "analysis.json"))).toEqual(model);
  for (const [from, to, where] of [
    ['["b","c"]', '["b","d"]', "borders[0].neighbours[1]"],
    ['"carried":["codes","float"]', '"carried":["codes"]', "borders[0].rows[2].carried"],
    ['"extraMs":-2', '"extraMs":null', "parts[1].rows[2].extraMs"],
    ['"floatMs":6', '"floatMs":"six"', "parts[0].floatMs"],
  ] as const) {
    expect(saved).toContain(from);
    const changed = parseJson(saved.replace(from, to), "analysis.json");
    expect(() => parseLatencyModel(changed)).toThrow(expect.objectContaining({ where: `analysis.json, ${where}` }));
  }
});

it("gives factors whose sum is the prediction, for every assignment and with layers that share a group", () => {
  const choices = [float, small, integer];
  for (const nodes of [[["a"], ["b"], ["c"]], [["a", "c"], ["b"]], [["c"], ["b"], ["a"]], [["a", "b", "c"]]]) {
    const groups = nodes.map((members) => ({ id: members.join(), layers: members.map(layerNamed), choices }));
    const { fixed, factors } = latencyResource(model, groups);
    for (const assignment of combinations(groups.map(() => choices.length))) {
      const sum = factors.reduce((ms, factor) => {
        const row = factor.groups.reduce((at, g) => at * choices.length + assignment[g]!, 0);
        return ms + factor.values[row]!;
      }, fixed);
      const chosen = new Map(
        nodes.flatMap((members, g) => members.map((node) => [node, choices[assignment[g]!]!] as const)),
      );
      expect(sum, [...chosen.values()].map(choiceKey).join()).toBe(predictLatency(model, chosen));
    }
  }
});

function layerNamed(node: string): PlannedLayer {
  return {
    node,
    op: "Conv",
    weight: { initializer: `${node}.w`, port: 1, dims: [1, 1, 1, 1], channelAxis: 0, channels: 1 },
    bias: undefined,
    inputs: [{ tensor: `${node}.x`, port: 0, channelAxis: 1, channels: 1 }],
    output: `${node}.y`,
    plain: true,
    work: { tensor: `${node}.y`, macsPerElement: 1 },
    choices: [float, small, integer],
    group: node,
  };
}
