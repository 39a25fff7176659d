import type { AnalysedSite, Analysis, Unfinished } from "./analysis.js";
import type { BiasShifts } from "./calibrate/bias-correction.js";
import { parseLatencyModel } from "./cost/parse-latency-model.js";
import { Field } from "./data/field.js";
import { parseJson } from "./data/json.js";
import { divergences } from "./evaluate/evaluator.js";
import { formats } from "./formats.js";
import { numbers, parseInteractions } from "./parse-interactions.js";
import type { SavedWeights } from "./rounded-weights.js";
import type { SiteScore, SiteScores } from "./sensitivity/criterion.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";

/**
 * Checks a saved analysis.
 * @param source - Its JSON text, or the document itself.
 * @throws BitwrightError `invalid-data` that names the field.
 */
export function parseAnalysis(source: string | object): Analysis {
  const root = rootOf(source);
  const version = root.at("version");
  if (version.value !== 4) version.fail("4", "It was written by another version of bitwright; analyze again");
  const sites = root.at("sites").list().map(parseSite);
  const unfinished = root.at("unfinished");
  const meanSquaredLoss = root.at("meanSquaredLoss");
  const latency = root.at("latency");
  const { model, data, judged, options } = root.at("binding").object(["model", "data", "judged", "options"]);
  const { output, divergence } = judged.object(["output", "divergence"]);
  return {
    version: 4,
    binding: {
      model: model.text(),
      data: data.text(),
      judged: { output: output.text(), divergence: divergence.choice(divergences) },
      options: Object.fromEntries(options.entries().map(([name, { value }]) => [name, value])),
    },
    ranges: record(root.at("ranges"), parseRange),
    roundedWeights: record(root.at("roundedWeights"), parseWeights),
    biasShifts: record(root.at("biasShifts"), parseShifts),
    floatKernels: root
      .at("floatKernels")
      .list()
      .map((field) => field.text()),
    reducesRange: root.at("reducesRange").boolean(),
    sites,
    criteria: parseCriteria(root.at("criteria")),
    interactions: parseInteractions(root.at("interactions"), new Set(sites.map(({ id }) => id))),
    ...(meanSquaredLoss.present && { meanSquaredLoss: meanSquaredLoss.number() }),
    ...(latency.present && { latency: parseLatencyModel(latency) }),
    seconds: record(root.at("seconds"), (value) => value.number()),
    ...(unfinished.present && { unfinished: parseUnfinished(unfinished) }),
  };
}

function rootOf(source: string | object): Field {
  if (source instanceof Field) return source;
  return typeof source === "string" ? parseJson(source, "analysis") : new Field("analysis", "", source);
}

function parseRange(field: Field): readonly [number, number] {
  const [min, max, ...rest] = field.list();
  if (min === undefined || max === undefined || rest.length > 0) field.fail("[smallest, largest]");
  return [min.number(), max.number()];
}

function parseWeights(field: Field): SavedWeights[string] {
  field.object(Object.keys(formats));
  return record(field, (weight) => {
    const { scales, codes, zeroPoints } = weight.object(["scales", "codes", "zeroPoints"]);
    return {
      scales: scales.text(),
      codes: codes.text(),
      ...(zeroPoints.present && { zeroPoints: zeroPoints.text() }),
    };
  });
}

function parseShifts(field: Field): BiasShifts[string] {
  field.object(Object.keys(formats));
  return record(field, (shifts) => shifts.list().map((shift) => shift.number()));
}

function parseSite(field: Field): AnalysedSite {
  const { id, kind, tensor, node, op, elements, group } = field.object([
    "id",
    "kind",
    "tensor",
    "node",
    "op",
    "elements",
    "group",
  ]);
  return {
    id: id.text(),
    kind: kind.choice(["weight", "activation"]),
    tensor: tensor.text(),
    node: node.text(),
    op: op.text(),
    elements: elements.integer(0),
    group: group.text(),
  };
}

function parseCriteria(field: Field): Partial<Record<CriterionName, SiteScores>> {
  field.object(Object.keys(criteria));
  return record(field, (scores) => record(scores, parseScore));
}

function parseScore(field: Field): SiteScore {
  const { cost, trace, standardError } = field.object(["cost", "trace", "standardError"]);
  cost.object(Object.keys(formats));
  return {
    cost: record(cost, (value) => value.number()),
    ...(trace.present && { trace: trace.number() }),
    ...(standardError.present && { standardError: standardError.number() }),
  };
}

function parseUnfinished(field: Field): Unfinished {
  const { criteria, measured } = field.object(["criteria", "measured"]);
  return {
    ...(criteria.present && { criteria: parseCriteria(criteria) }),
    ...(measured.present && { measured: measured.list().map((row, i) => numbers(row, i + 1)) }),
  };
}

function record<T>(field: Field, parse: (member: Field) => T): Record<string, T> {
  return Object.fromEntries(field.entries().map(([name, member]) => [name, parse(member)]));
}
