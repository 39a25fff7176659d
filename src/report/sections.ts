import { type Format, formats as formatTable } from "../formats.js";
import type { Change } from "../onnx/clean/index.js";
import { searchCharts } from "./charts/search-trace.js";
import { sensitivityChart } from "./charts/sensitivity.js";
import { key, nodeName, section, table } from "./markup.js";
import type { Report } from "./report.js";
import { restrictions } from "./restrictions.js";
import { element, escapeText, textElement } from "./svg.js";
import { describeChange, describeTrust, saturation } from "./text.js";
import { bytes, count, digits, percent, plural } from "./units.js";

/** The parts of the page below its figures, in order; a part with nothing to show is empty. */
export const sections: readonly ((report: Report) => string)[] = [
  formats,
  sensitivity,
  search,
  verification,
  layers,
  kept,
  changes,
];

function formats({ choices }: Report): string {
  const total = choices.reduce((sum, { elements }) => sum + elements, 0) || 1;
  const widths = new Map<string, number>();
  for (const { weight, elements } of choices) widths.set(weight, (widths.get(weight) ?? 0) + elements);
  const bar = [...widths].map(([format, elements]) =>
    element("span", {
      class: format,
      style: `width:${((100 * elements) / total).toFixed(3)}%`,
      title: `${format}: ${percent(elements / total, 1)}`,
    }),
  );
  const legend = [...widths].map(([format, elements]) =>
    key(format, `${format} ${percent(elements / total, 1)} of the weights`),
  );
  const rows = choices.map(({ weight, activation, layers, elements }) =>
    element(
      "tr",
      {},
      element("td", {}, key(weight, weight)),
      element("td", {}, key(activation, activation)),
      textElement("td", { class: "number" }, String(layers)),
      textElement("td", { class: "number" }, count(elements)),
      textElement("td", { class: "number" }, percent(elements / total, 1)),
    ),
  );
  return section(
    "Formats",
    element("div", { class: "share" }, ...bar),
    element("div", { class: "legend" }, ...legend),
    table(["weight", "activation", "#layers", "#weights", "#share"], rows),
  );
}

function sensitivity(report: Report): string {
  const chart = sensitivityChart(report);
  if (chart === "") return "";
  const found = new Set(
    report.layers.flatMap(({ weightFormat, activationFormat }) => [weightFormat, activationFormat]),
  );
  const used = (Object.keys(formatTable) as Format[]).filter((format) => found.has(format));
  return section(
    "Sensitivity and choice",
    textElement(
      "p",
      { class: "soft" },
      `Rise of the mean loss that ${report.plan.criterion} predicts when one tensor takes one format, layer by layer. Full colour: taken; pale: not taken. The strips show what each layer was given.`,
    ),
    element("div", { class: "wide" }, chart),
    element("div", { class: "legend" }, ...used.map((format) => key(format, format))),
  );
}

function search(report: Report): string {
  const { evaluations, stopped, samples, metric } = report.plan.search;
  const where =
    metric === null
      ? `${plural(evaluations, "configuration")} weighed by their predictions alone.`
      : `${plural(evaluations, "configuration")} evaluated in the engine on ${plural(samples, "sample")}. Dots are inside the limits as far as so few samples can tell, crosses outside; the line follows the order.`;
  const trust = describeTrust(report.plan).map((line) => ` ${line[0]!.toUpperCase()}${line.slice(1)}.`);
  return section(
    "Search",
    textElement("p", { class: "soft" }, `${where} It ended because ${stopped}.${trust.join("")}`),
    element("div", { class: "pair" }, ...searchCharts(report)),
  );
}

function verification({ plan: { before, verified } }: Report): string {
  if (verified === null) return "";
  const { paired, change, samples, kl, fusedAsPlanned, fusionProblems, saturates, undone, latencyRatio } = verified;
  const rows: [string, string][] = [["samples", String(samples)]];
  if (paired === null) rows.push([before.metric, describeChange(before.metric, change)]);
  else {
    const {
      floatCorrect,
      quantizedCorrect,
      lost,
      gained,
      pValue,
      difference,
      keepRatio,
      smallestDetectableDrop,
      confidence,
    } = paired;
    const points = (share: number) => (100 * share).toFixed(2);
    rows.push(
      ["right answers", `${floatCorrect} float, ${quantizedCorrect} quantized: ${lost} lost, ${gained} gained`],
      [
        "kept",
        `${percent(keepRatio.value)}, at least ${percent(keepRatio.low)} with ${percent(confidence, 0)} confidence`,
      ],
      [
        "difference",
        `${points(difference.value)} points, between ${points(difference.low)} and ${points(difference.high)} with ${percent(confidence, 0)} confidence`,
      ],
      ["McNemar's exact test", `p = ${digits(pValue)}`],
      [
        "resolution",
        smallestDetectableDrop === undefined
          ? "too few samples to show any drop"
          : `so many samples show a drop of ${points(smallestDetectableDrop)} points or more`,
      ],
    );
  }
  rows.push(
    ["mean divergence", digits(kl)],
    ["latency", `${latencyRatio.toFixed(3)} of the float model's, median of interleaved runs`],
    [
      "taken back",
      undone === 0
        ? "nothing: the first file was inside the limits"
        : `${plural(undone, "group")}, after an earlier file had failed`,
    ],
    [
      "engine",
      fusedAsPlanned
        ? "integer kernels exactly where the plan has them"
        : `otherwise than planned: ${fusionProblems.join("; ")}`,
    ],
  );
  if (saturates) rows.push(["saturation", saturation]);
  return section(
    "Verification",
    element("dl", {}, ...rows.flatMap(([name, text]) => [textElement("dt", {}, name), textElement("dd", {}, text)])),
  );
}

function layers({ layers }: Report): string {
  const rows = layers.map(({ node, op, weightFormat, activationFormat, elements, why }, i) =>
    element(
      "tr",
      {},
      textElement("td", { class: "number" }, String(i + 1)),
      element("td", {}, nodeName(node)),
      textElement("td", {}, op),
      textElement("td", { class: "number" }, count(elements)),
      element("td", { class: "format" }, key(weightFormat, weightFormat)),
      element("td", { class: "format" }, key(activationFormat, activationFormat)),
      textElement("td", {}, why),
    ),
  );
  return section(
    "Layers",
    element("div", { class: "wide" }, table(["#", "layer", "op", "#weights", "weight", "activation", "why"], rows)),
  );
}

function kept({ plan: { keptFloat } }: Report): string {
  if (keptFloat.length === 0) return "";
  const rows = keptFloat.map((group) =>
    element(
      "tr",
      {},
      textElement("td", {}, group.reason),
      textElement("td", { class: "number" }, String(group.tensors)),
      textElement("td", { class: "number" }, bytes(group.bytes)),
      element("td", {}, nodeName(group.largest)),
    ),
  );
  return section("Left in float", table(["why", "#tensors", "#bytes", "largest"], rows));
}

function changes({ plan }: Report): string {
  const passes = new Map<string, Change[]>();
  for (const change of plan.changes) passes.set(change.pass, [...(passes.get(change.pass) ?? []), change]);
  if (passes.size === 0) return "";
  const details = [...passes].map(([pass, found]) =>
    element(
      "details",
      {},
      textElement("summary", {}, `${pass}: ${plural(found.length, "change")}`),
      element(
        "ul",
        {},
        ...found.map(({ nodes, explanation }) =>
          element("li", {}, textElement("code", {}, nodes.join(", ")), escapeText(` ${explanation}`)),
        ),
      ),
    ),
  );
  return section(
    "Clean-up before quantization",
    textElement("p", { class: "soft" }, "None of this changes what the model computes, beyond float rounding."),
    ...restrictions(plan.changes).map((restriction) => textElement("p", {}, `The file ${restriction}.`)),
    ...details,
  );
}
