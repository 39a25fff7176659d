import { expect, it, vi } from "vitest";
import type { LatencySubject } from "../../../src/cost/chain.js";
import { predictLatency } from "../../../src/cost/latency-model.js";
import { measureLatencyModel } from "../../../src/cost/latency-model-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import type { OnnxModel } from "../../../src/onnx/model.js";
import { everyValue } from "../../support/every-value.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";
import { conv, mixedNetwork, unary } from "../export/networks.js";
import { observeRanges } from "../export/simulate.js";

// How long measuring takes is a matter of what else the machine does.
vi.setConfig({ testTimeout: 120_000 });

const feeds = { x: randomTensor([1, 3, 16, 16], 1) };

it("times every combination of kernels of each part and of what its neighbours carry", async () => {
  const { subject, valuesOf } = await prepared(mixedNetwork());
  const stages: string[] = [];
  const latency = await measureLatencyModel(subject, valuesOf, {
    threads: 1,
    onProgress: ({ done, total }) => stages.push(`${done}/${total}`),
  });
  expect(latency.parts.map(({ layers }) => layers.join(" "))).toEqual([
    "stem",
    "depthwise pointwise",
    "left right squeeze",
    "last",
    "hidden",
    "logits",
  ]);
  const kernelCount = (layer: string) => new Set(Object.values(latency.kernels[layer]!)).size;
  const combinationsOf = (layers: readonly string[]) => layers.reduce((count, layer) => count * kernelCount(layer), 1);
  expect(latency.parts.map(({ neighbours }) => neighbours.join(" "))).toEqual([
    "depthwise",
    "stem left",
    "pointwise last",
    "squeeze hidden",
    "last logits",
    "hidden",
  ]);
  for (const { layers, neighbours, rows } of latency.parts) {
    const count = combinationsOf(layers) * 2 ** neighbours.length;
    expect(new Set(rows.map(({ kernels, carried }) => [...kernels, ...carried].join())).size).toBe(count);
    expect(rows[0]).toEqual({
      kernels: layers.map(() => "float"),
      carried: neighbours.map(() => "float"),
      extraMs: 0,
    });
  }
  expect(latency.borders.map(({ tensors, neighbours }) => `${tensors}: ${neighbours.join(" ")}`)).toEqual([
    "stem.pool.y: stem depthwise",
    "sum.relu.y: pointwise left",
    "average.y: squeeze last",
    "flat.y: last hidden",
    "hidden.relu.y: hidden logits",
  ]);
  for (const { rows } of latency.borders) {
    expect(rows.map(({ carried }) => carried.join(" "))).toEqual([
      "float float",
      "float codes",
      "codes float",
      "codes codes",
    ]);
  }
  expect(latency.kernels.last).toMatchObject({
    "float/float": "float",
    "int4/float": "float",
    "int4/int8": "integer",
  });
  expect(predictLatency(latency, new Map())).toBe(latency.floatMs);
  expect(latency.accountedMs).toBeGreaterThan(Number.NEGATIVE_INFINITY);
  expect(stages.at(-1)).toBe("13/13");
  expect(latency.checks.map(({ integerLayers }) => integerLayers)).toEqual([9, 4, 6, 3]);
  for (const { measuredMs, predictedMs } of latency.checks) {
    expect(measuredMs).toBeGreaterThan(0);
    expect(predictedMs).toBeLessThan(Number.POSITIVE_INFINITY);
  }
});

it("splits parts that have too many combinations", async () => {
  const { subject, valuesOf } = await prepared(mixedNetwork());
  const { parts, borders } = await measureLatencyModel(subject, valuesOf, { threads: 1, mostConfigurations: 6 });
  expect(parts.map(({ layers }) => layers.join(" "))).toEqual([
    "stem",
    "depthwise pointwise",
    "left",
    "right",
    "squeeze",
    "last",
    "hidden",
    "logits",
  ]);
  expect(borders.slice(1, 4).map(({ tensors, neighbours }) => `${tensors}: ${neighbours.join(" ")}`)).toEqual([
    "sum.relu.y: pointwise left",
    "left.relu.y: left",
    "join.y: right squeeze",
  ]);
});

it("times parts that are alike once", async () => {
  const model = buildModel(17).input("x", ["N", 3, 16, 16]);
  let value = unary(model, "Relu", "stem.relu", [conv(model, "stem", "x", [8, 3, 3])]);
  for (const name of ["one", "two", "three", "four"]) {
    value = unary(model, "Relu", `${name}.relu`, [conv(model, name, value, [8, 8, 3])]);
  }
  const { subject, valuesOf } = await prepared(model.output(value).build());
  const { parts, borders } = await measureLatencyModel(subject, valuesOf, { threads: 1 });
  const [, one, two, three] = parts;
  expect(two!.floatMs).toBe(one!.floatMs);
  expect(three!.rows).not.toBe(one!.rows);
  expect(three!.rows).toEqual(one!.rows);
  expect(borders[2]!.rows).toEqual(borders[1]!.rows);
  expect(parts[0]!.floatMs).not.toBe(one!.floatMs);
});

it("stops when it is told to", async () => {
  const { subject, valuesOf } = await prepared(mixedNetwork());
  const abort = new AbortController();
  const measuring = measureLatencyModel(subject, valuesOf, {
    threads: 1,
    signal: abort.signal,
    onProgress: ({ done }) => done === 3 && abort.abort(),
  });
  await expect(measuring).rejects.toMatchObject({ code: "aborted" });
});

async function prepared(model: OnnxModel) {
  const ranges = await observeRanges(model, feeds);
  const values = await everyValue(model, feeds);
  const subject: LatencySubject = { model, target: ortCpu, layers: ortCpu.layers(model), ranges };
  return { subject, valuesOf: async () => values };
}
