import { expect, it } from "vitest";
import { findIntegerStart } from "../../../src/cost/integer-start-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "./networks.js";
import { observeRanges } from "./simulate.js";

it("times every start and leaves the layers before the fastest one float", async () => {
  const model = mixedNetwork();
  const feeds = { x: randomTensor([1, 3, 16, 16], 1) };
  const ranges = await observeRanges(model, feeds);
  const { floatLayers, latencies } = await findIntegerStart(model, ortCpu, ranges, feeds, { deepest: 3, repeats: 5 });
  expect(latencies.map(({ name }) => name)).toEqual(["0", "1", "2", "3"]);
  const layers = ortCpu.layers(model).map(({ node }) => node);
  expect(floatLayers).toEqual(layers.slice(0, floatLayers.length));
  const fastest = Math.min(...latencies.map(({ ratio }) => ratio));
  expect(latencies[floatLayers.length]!.ratio).toBe(fastest);
});
