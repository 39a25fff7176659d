import { expect, it } from "vitest";
import { clearlyFastest, findIntegerStart } from "../../../src/cost/integer-start-node.js";
import { ortCpu } from "../../../src/export/targets/ort-cpu.js";
import { randomTensor } from "../../support/tensors.js";
import { mixedNetwork } from "../export/networks.js";
import { observeRanges } from "../export/simulate.js";

it("times every start and leaves the layers before the first fast one float", async () => {
  const model = mixedNetwork();
  const feeds = { x: randomTensor([1, 3, 16, 16], 1) };
  const ranges = await observeRanges(model, feeds);
  const { floatLayers, latencies } = await findIntegerStart(model, ortCpu, ranges, feeds, { deepest: 3, repeats: 5 });
  expect(latencies.map(({ name }) => name)).toEqual(["0", "1", "2", "3"]);
  const layers = ortCpu.layers(model).map(({ node }) => node);
  expect(floatLayers).toEqual(layers.slice(0, floatLayers.length));
  expect(floatLayers.length).toBe(clearlyFastest(latencies.map(({ ratio }) => ratio)));
});

it("keeps layers float only for a time that is clearly shorter", () => {
  expect(clearlyFastest([1, 1, 1])).toBe(0);
  expect(clearlyFastest([1, 0.98, 1.1])).toBe(0);
  expect(clearlyFastest([1, 0.95, 0.93])).toBe(1);
  expect(clearlyFastest([1, 0.95, 0.9])).toBe(2);
});
