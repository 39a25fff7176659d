import { describe, expect, it } from "vitest";
import { type LimitFigures, unmetLimits } from "../../src/unmet-limits.js";
import { samplePlan } from "../support/plans.js";

const figures: LimitFigures = {
  before: { metric: "top1", value: null, bytes: 1000, latencyMs: null },
  after: { metric: "top1", value: null, bytes: 300, latencyMs: null },
  predicted: {
    loss: 0.01,
    latencyMs: 6,
    floatLatencyMs: 10,
    latencyProfile: null,
    latencyError: null,
    lossError: 0.02,
  },
  verified: null,
  bandAsSearched: true,
  macs: { float: 100, quantized: 30 },
};

describe("unmet limits", () => {
  it("holds figures to limits, absolute ones and shares of the float model's", () => {
    const at = { maxSize: { share: 0.3 }, maxLatency: { absolute: 6 }, maxMacs: { share: 0.3 } };
    expect(unmetLimits(at, figures)).toEqual([]);
    const below = { maxSize: { absolute: 299 }, maxLatency: { share: 0.59 }, maxMacs: { absolute: 29 } };
    expect(unmetLimits(below, figures)).toEqual(["maxSize", "maxLatency", "maxMacs"]);
  });

  it("holds the predicted error of the loss to its limit,", () => {
    expect(unmetLimits({ maxLossError: 0.02 }, figures)).toEqual([]);
    expect(unmetLimits({ maxLossError: 0.0199 }, figures)).toEqual(["maxLossError"]);
  });

  it("takes the search's word for the band only where nothing was verified", () => {
    expect(unmetLimits({ keep: 0.99 }, { ...figures, bandAsSearched: false })).toEqual(["band"]);
  });

  it("does not take a time that nobody knows for one that is short enough", () => {
    const predicted = { ...figures.predicted, latencyMs: null, floatLatencyMs: null };
    const unknown = { ...figures, predicted };
    expect(unmetLimits({ maxLatency: { absolute: 1 } }, unknown)).toEqual(["maxLatency"]);
  });

  it("holds times of a profile to the limit on latency, whatever this machine took", () => {
    const { verified } = samplePlan(1);
    const here = { ...figures, verified, before: { ...figures.before, latencyMs: 40 } };
    const at = { maxLatency: { absolute: 10 } };
    // Half of 40 ms here, 6 of 10 ms by the profile.
    expect(unmetLimits(at, here)).toEqual(["maxLatency"]);
    const profiled = { ...here, predicted: { ...figures.predicted, latencyProfile: "npu" } };
    expect(unmetLimits(at, profiled)).toEqual([]);
    expect(unmetLimits({ maxLatency: { share: 0.59 } }, profiled)).toEqual(["maxLatency"]);
  });
});
