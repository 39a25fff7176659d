import { describe, expect, it } from "vitest";
import type { PlannedLayer } from "../../../src/export/targets/target.js";
import type { Format, LayerChoice } from "../../../src/formats.js";
import { groupLayers } from "../../../src/groups.js";
import { predictedLoss } from "../../../src/search/score.js";
import { predictionsOf } from "../../../src/search-groups.js";
import type { SiteScores } from "../../../src/sensitivity/criterion.js";
import { noInteractions, predictLoss, type SiteChoice } from "../../../src/sensitivity/interactions.js";

const choice = (weight: Format, activation: Format = "float"): LayerChoice => ({ weight, activation });

function layer(node: string, choices: readonly LayerChoice[], group = node): PlannedLayer {
  return {
    node,
    op: "Conv",
    group,
    choices,
    weight: { initializer: `w ${group}`, port: 1, dims: [4, 3, 2, 2], channelAxis: 0, channels: 4 },
    bias: undefined,
    inputs: [{ tensor: "x", port: 0, channelAxis: 1, channels: 3 }],
    output: `y ${node}`,
    plain: true,
    work: { tensor: `y ${node}`, macsPerElement: 12 },
  };
}

const costsOf = (choices: readonly LayerChoice[], scores: SiteScores) =>
  predictionsOf(groupLayers([layer("a", choices)]), scores, noInteractions).groups[0]!.choices.map(({ cost }) => cost);

describe("costs of groups", () => {
  it("never fall with the width", () => {
    const choices = [choice("float"), choice("int16"), choice("int8"), choice("int4")];
    const scores = { "a/weight": { cost: { int16: 0.2, int8: -0.1, int4: 0.5 } } };
    expect(costsOf(choices, scores)).toEqual([0, 0.2, 0.2, 0.5]);
  });

  it("are compared between formats of one kind alone", () => {
    const choices = [choice("float"), choice("fp16"), choice("fp8e5m2"), choice("int8"), choice("int4")];
    const scores = { "a/weight": { cost: { fp16: 0.01, fp8e5m2: 3, int8: 0.1, int4: 0.05 } } };
    expect(costsOf(choices, scores)).toEqual([0, 0.01, 3, 0.1, 0.1]);
  });

  it("are compared only where both tensors are no narrower", () => {
    const choices = [choice("float"), choice("int8", "int8"), choice("int8"), choice("int4")];
    const scores = { "a/weight": { cost: { int8: 0.1, int4: 0.2 } }, "a/activation": { cost: { int8: 1 } } };
    expect(costsOf(choices, scores)).toEqual([0, 1.1, 0.1, 0.2]);
  });

  it("are those of both inputs of a product of two activations", () => {
    const choices = [choice("float"), choice("float", "int8")];
    const scores = { "a/activation": { cost: { int8: 1 } }, "a/second activation": { cost: { int8: 0.25 } } };
    expect(costsOf(choices, scores)).toEqual([0, 1.25]);
  });

  it("add up over the layers of a group", () => {
    const choices = [choice("float"), choice("int8")];
    const layers = [layer("a", choices, "shared"), layer("b", choices, "shared")];
    const scores = { "a/weight": { cost: { int8: 0.25 } }, "b/weight": { cost: { int8: 0.5 } } };
    const { groups } = predictionsOf(groupLayers(layers), scores, noInteractions);
    expect(groups.map(({ id, choices }) => [id, choices[1]!.cost])).toEqual([["shared", 0.75]]);
  });
});

describe("sensitivities of groups", () => {
  const choices = [choice("float"), choice("int8"), choice("int4")];

  it("are average traces where there are any", () => {
    const scores = { "a/weight": { cost: { int8: 1, int4: 2 }, trace: 96 } };
    expect(predictionsOf(groupLayers([layer("a", choices)]), scores, noInteractions).groups[0]!.sensitivity).toBe(2);
  });

  it("are the dearest costs otherwise", () => {
    const scores = { "a/weight": { cost: { int8: 1, int4: 5 } } };
    expect(predictionsOf(groupLayers([layer("a", choices)]), scores, noInteractions).groups[0]!.sensitivity).toBe(5);
  });
});

it("predicts of every configuration what the whole quadratic form does", () => {
  const choices = [choice("float"), choice("int8", "int8"), choice("int8"), choice("int4", "int8")];
  const layers = [layer("a", choices), layer("b", choices, "shared"), layer("c", choices, "shared")];
  const sites: SiteChoice[] = ["a", "b", "c"].flatMap((node) => [
    { site: `${node}/weight`, format: "int8" as const },
    { site: `${node}/weight`, format: "int4" as const },
    { site: `${node}/activation`, format: "int8" as const },
  ]);
  // U^T U, with narrow formats so much longer that no cost has to be raised.
  const u = sites.map(({ format }, i) =>
    [1, 2, 3].map((k) => (format === "int4" ? 20 : 1) * Math.sin(7 * i + 3 * k * k)),
  );
  const matrix = u.map((a) => u.map((b) => a.reduce((sum, value, k) => sum + value * b[k]!, 0)));
  const scores: SiteScores = Object.fromEntries(
    ["a", "b", "c"].flatMap((node) =>
      ["weight", "activation"].map((kind) => [
        `${node}/${kind}`,
        {
          cost: Object.fromEntries(
            sites.flatMap(({ site, format }, i) => (site === `${node}/${kind}` ? [[format, matrix[i]![i]! / 2]] : [])),
          ),
        },
      ]),
    ),
  );
  const interactions = { source: "fisher" as const, choices: sites, matrix };
  const layerGroups = groupLayers(layers);
  const { groups, ...others } = predictionsOf(layerGroups, scores, interactions);
  const raised = groups.some(({ choices }) => choices.some(({ cost }, c) => c > 1 && cost === choices[1]!.cost));
  expect(raised).toBe(false);
  for (const a of choices.keys()) {
    for (const b of choices.keys()) {
      const taken = new Map([
        ["a", choices[a]!],
        ["b", choices[b]!],
        ["c", choices[b]!],
      ]);
      const chosen = sites.flatMap(({ site, format }, i) => {
        const [node, kind] = site.split("/") as [string, "weight" | "activation"];
        return taken.get(node)![kind] === format ? [i] : [];
      });
      const expected = predictLoss(interactions, chosen).loss;
      expect(predictedLoss({ groups, ...others, resources: [] }, [a, b])).toBeCloseTo(expected, 9);
    }
  }
});
