import { describe, expect, it } from "vitest";
import { decodeFloats, encodeFloats } from "../../../src/base64.js";
import { parseJson } from "../../../src/data/json.js";
import type { LayoutParts } from "../../../src/evaluate/simulator.js";
import type { Format } from "../../../src/formats.js";
import { parseAnalysis } from "../../../src/parse-analysis.js";
import { parseInteractions } from "../../../src/parse-interactions.js";
import type { Site } from "../../../src/sensitivity/criterion.js";
import { measured } from "../../../src/sensitivity/interactions/measured.js";
import type { SourceContext } from "../../../src/sensitivity/interactions/source.js";
import { chosenIndices, type Interactions, predictLoss } from "../../../src/sensitivity/interactions.js";
import { judgePrediction } from "../../../src/sensitivity/trust.js";
import { sampleAnalysis } from "../../support/plans.js";

const choices = [
  { site: "a/weight", format: "int8" },
  { site: "a/weight", format: "int4" },
  { site: "b/activation", format: "int8" },
] as const;

/** Two probes of three samples, so that the matrix is their mean outer product. */
function fromProjections(): Interactions {
  const probes = 2;
  const samples = 3;
  const u = [
    [1, 2, -1],
    [0.5, 1, 3],
    [-1, 4, 0],
    [2, -2, 1],
    [1, 1, 1],
    [0, 3, -2],
  ];
  const mean = (i: number, j: number) => u.reduce((sum, row) => sum + row[i]! * row[j]!, 0) / (probes * samples);
  return {
    source: "fisher",
    choices,
    matrix: choices.map((_, i) => choices.map((_, j) => mean(i, j))),
    projections: { probes, samples, data: encodeFloats(Float32Array.from(u.flat())) },
  };
}

describe("predictLoss", () => {
  it("is half the quadratic form of what is chosen", () => {
    const interactions: Interactions = {
      source: "hessian",
      choices,
      matrix: [
        [2, 0.5, -1],
        [0.5, 8, 3],
        [-1, 3, 4],
      ],
    };
    expect(predictLoss(interactions, [])).toEqual({ loss: 0 });
    expect(predictLoss(interactions, [1])).toEqual({ loss: 4 });
    expect(predictLoss(interactions, [0, 2])).toEqual({ loss: 0.5 * (2 + 4 - 2) });
  });

  it("counts corrections of biases where there are any", () => {
    const matrix = [[2]];
    expect(predictLoss({ source: "fisher", choices: [choices[0]], matrix, corrected: [[1]] }, [0]).loss).toBe(0.5);
  });

  it("gives the standard error of the mean over samples, whose probes are averaged first", () => {
    // (u.x)^2 / 2 of each sample with x = (0, 1, 1): probes (1, 4), (16, 4), (16, 1) twice over.
    const bySample = [(1 + 1) / 4, (16 + 4) / 4, (16 + 1) / 4];
    const mean = (0.5 + 5 + 4.25) / 3;
    const variance = bySample.reduce((sum, form) => sum + (form - mean) ** 2, 0) / 2;
    const { standardError } = predictLoss(fromProjections(), [1, 2]);
    expect(standardError).toBeCloseTo(Math.sqrt(variance / 3), 6);
  });

  it("takes configurations of layers", () => {
    const configuration = new Map([
      ["a", { weight: "int4", activation: "float" }],
      ["b", { weight: "float", activation: "int8" }],
    ] as const);
    expect(chosenIndices(fromProjections(), configuration)).toEqual([1, 2]);
  });
});

describe("judgePrediction", () => {
  it.each([
    [0.09, true],
    [0.12, false],
    [0.08, false],
  ])("of %f against 0.1 measured is trusted: %s", (loss, trusted) => {
    const verdict = judgePrediction({ loss }, 0.1);
    expect(verdict.trusted).toBe(trusted);
    expect(verdict.residual).toBeCloseTo(0.1 - loss, 12);
    expect(verdict.explained).toBe(false);
  });

  it("tells what few samples leave open from what the model of the loss lacks", () => {
    expect(judgePrediction({ loss: 0.13, standardError: 0.016 }, 0.1)).toMatchObject({
      trusted: false,
      explained: true,
    });
    expect(judgePrediction({ loss: 0.13, standardError: 0.014 }, 0.1)).toMatchObject({
      trusted: false,
      explained: false,
    });
  });
});

describe("measured", () => {
  const pairs: Record<string, number> = { "a4 b8": 0.25, "a8 b8": -0.125 };
  const alone: Record<string, number> = { a8: 1, a4: 2, b8: 4 };
  const edge = (tensor: string) => ({ weights: [], biases: [], edges: [{ tensor }] }) as unknown as LayoutParts;
  const site = (id: string, formats: readonly Format[]) =>
    ({
      id,
      quantizers: new Map(formats.map((format) => [format, {}])),
      alone: (format: Format) => edge(`${id}${format.slice(3)}`),
    }) as unknown as Site;

  /** A model whose losses add up but for the pairs above; counts its evaluations. */
  function context(): { context: SourceContext; evaluated: string[] } {
    const evaluated: string[] = [];
    const evaluator = {
      evaluate: async ({ edges }: LayoutParts) => {
        const names = edges.map(({ tensor }) => tensor).sort();
        evaluated.push(names.join(" "));
        const sum = names.reduce((total, name) => total + alone[name]!, 0);
        return { divergence: sum + (pairs[names.join(" ")] ?? 0) };
      },
    };
    const sites = [site("a", ["int8", "int4"]), site("b", ["int8"])];
    return { context: { sites, evaluator } as unknown as SourceContext, evaluated };
  }

  it("gives what pairs add to their parts, and twice the parts themselves", async () => {
    const { context: given, evaluated } = context();
    const { matrix, choices: listed } = await measured(given, { known: [], onRows: async () => {} });
    expect(listed).toEqual([
      { site: "a", format: "int8" },
      { site: "a", format: "int4" },
      { site: "b", format: "int8" },
    ]);
    expect(matrix).toEqual([
      [2, 0, -0.125],
      [0, 4, 0.25],
      [-0.125, 0.25, 8],
    ]);
    // Formats of one site exclude each other.
    expect(evaluated).toEqual(["a8", "a4", "b8", "a8 b8", "a4 b8"]);
  });

  it("goes on from the rows of an interrupted run", async () => {
    const rows: (readonly (readonly number[])[])[] = [];
    const whole = await measured(context().context, { known: [], onRows: async (part) => void rows.push([...part]) });
    for (const known of rows) {
      const { context: given, evaluated } = context();
      expect(await measured(given, { known, onRows: async () => {} })).toEqual(whole);
      expect(evaluated.length).toBe([4, 3, 0][known.length - 1]);
    }
  });
});

describe("parseInteractions", () => {
  const sites = new Set(choices.map(({ site }) => site));
  const parse = (value: unknown) => parseInteractions(parseJson(JSON.stringify(value), "a.json"), sites);

  it("gives back what was saved", () => {
    const whole = { ...fromProjections(), corrected: fromProjections().matrix };
    expect(parse(whole)).toEqual(whole);
  });

  it.each<[string, (value: Record<string, unknown>) => void]>([
    ["source", (value) => (value.source = "guess")],
    ["choices[0].site", (value) => (value.choices = [{ site: "c/weight", format: "int8" }])],
    ["choices[1]", (value) => (value.choices = [choices[0], choices[0]])],
    ["choices[0].format", (value) => (value.choices = [{ site: "a/weight", format: "int3" }])],
    ["matrix", (value) => (value.matrix = [[1]])],
    [
      "matrix[1]",
      (value) =>
        (value.matrix = [
          [1, 0, 0],
          [0, 1],
          [0, 0, 1],
        ]),
    ],
    [
      "matrix[0][2]",
      (value) =>
        (value.matrix = [
          [1, 0, 2],
          [0, 1, 0],
          [0, 0, 1],
        ]),
    ],
    [
      "matrix[0][0]",
      (value) =>
        (value.matrix = [
          [null, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ]),
    ],
    ["corrected", (value) => (value.corrected = [])],
    ["projections.data", (value) => (value.projections = { probes: 1, samples: 1, data: "AAAA" })],
    [
      "projections.data",
      (value) =>
        (value.projections = { probes: 1, samples: 1, data: encodeFloats(new Float32Array([1, Number.NaN, 2])) }),
    ],
  ])("refuses a wrong %s", (path, change) => {
    const value = structuredClone(fromProjections()) as unknown as Record<string, unknown>;
    change(value);
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: "invalid-data", where: `a.json, ${path}` }));
  });
});

describe("what interrupted work has left", () => {
  const parse = (unfinished: unknown) =>
    parseAnalysis(parseJson(JSON.stringify({ ...sampleAnalysis(2), unfinished }), "a.json")).unfinished;

  it("is read back", () => {
    const { direct } = sampleAnalysis(2).criteria;
    const unfinished = { criteria: { direct: direct! }, measured: [[2], [0.5, 4]] };
    expect(parse(unfinished)).toEqual(unfinished);
    expect(parse(undefined)).toBeUndefined();
  });

  it.each([
    ["unfinished.measured[1]", { measured: [[2], [1]] }],
    ["unfinished.criteria.guess", { criteria: { guess: {} } }],
    ["unfinished.rows", { rows: [] }],
  ])("is refused with a wrong %s", (path, unfinished) => {
    expect(() => parse(unfinished)).toThrow(
      expect.objectContaining({ code: "invalid-data", where: `a.json, ${path}` }),
    );
  });
});

describe("base64", () => {
  it("keeps float32 numbers, however many", () => {
    const values = Float32Array.from({ length: 20_001 }, (_, i) => Math.fround(Math.sin(i) * 10 ** ((i % 60) - 30)));
    expect(decodeFloats(encodeFloats(values))).toEqual(values);
    expect(encodeFloats(new Float32Array([1]))).toBe("AACAPw==");
  });
});
