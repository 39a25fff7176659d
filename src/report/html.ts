import { type Format, formats as formatTable } from "../formats.js";
import type { Change } from "../onnx/clean/index.js";
import type { Verified } from "../plan.js";
import { searchCharts } from "./charts/search-trace.js";
import { sensitivityChart } from "./charts/sensitivity.js";
import { pageStyle } from "./page-style.js";
import type { Report } from "./report.js";
import { element, escapeText, textElement } from "./svg.js";
import { describePairs, describeSearch } from "./text.js";
import { bytes, count, digits, metricValue, milliseconds, percent, plural } from "./units.js";

/** A report as one page that needs nothing else: no network, no script. Its data is in the element `report`, as JSON. */
export function htmlReport(report: Report): string {
  const { about } = report;
  const sections = [
    header(report),
    tiles(report),
    formats(report),
    sensitivity(report),
    search(report),
    verification(report),
    layers(report),
    changes(report),
  ];
  // Only "<" could end the element early.
  const data = JSON.stringify(report).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(about.model)} quantized</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${sections.filter((section) => section !== "").join("\n")}
${footer(report)}
</main>
<script type="application/json" id="report">${data}</script>
</body>
</html>
`;
}

function header({ about, plan }: Report): string {
  const { limits, verified, unverified } = plan;
  const wanted = [
    ...(limits.keep === undefined ? [] : [`keep ${percent(limits.keep, 1)} of ${plan.before.metric}`]),
    ...(limits.maxKl === undefined ? [] : [`at most ${digits(limits.maxKl)} nats of KL divergence`]),
  ].join(" and ");
  const [title, good, text] =
    verified === null
      ? (["Not verified", false, `${unverified}. So far: ${describeSearch(plan)}.`] as const)
      : verified.withinBand
        ? (["Inside the limits", true, evidence(verified)] as const)
        : (["Outside the limits", false, evidence(verified)] as const);
  return element(
    "header",
    {},
    textElement("h1", {}, about.model),
    textElement("p", { class: "soft" }, `quantized for ${plan.target} by ${plan.method} with the limits: ${wanted}`),
    element(
      "div",
      { class: good ? "verdict" : "verdict bad" },
      textElement("strong", {}, title),
      textElement("p", {}, text),
    ),
  );
}

function evidence({ paired, samples, kl }: Verified): string {
  const divergence = `mean divergence from the float model ${digits(kl)}`;
  const where = `in onnxruntime, on ${plural(samples, "sample")} that nothing else has seen`;
  return paired === null ? `${divergence}, ${where}` : `${describePairs(paired)}; ${divergence}; ${where}`;
}

function tiles({ plan: { before, after, verified } }: Report): string {
  const tile = (name: string, was: string, now: string, note: string) =>
    element(
      "div",
      { class: "tile" },
      textElement("h3", {}, name),
      textElement("div", { class: "now" }, now),
      textElement("div", { class: "was" }, `float ${was}${note === "" ? "" : `, ${note}`}`),
    );
  const figure = (value: number | null, text: (value: number) => string) =>
    value === null ? "not measured" : text(value);
  const metric = (value: number) => metricValue(before.metric, value);
  const ratio = verified === null ? "" : `${verified.latencyRatio.toFixed(2)} of its time`;
  return element(
    "div",
    { class: "tiles" },
    tile(before.metric, figure(before.value, metric), figure(after.value, metric), ""),
    tile("size", bytes(before.bytes), bytes(after.bytes), `${percent(after.bytes / before.bytes, 1)} of it`),
    tile("latency", figure(before.latencyMs, milliseconds), figure(after.latencyMs, milliseconds), ratio),
  );
}

function key(format: string, text: string): string {
  return element("span", {}, element("span", { class: `key ${format}` }), escapeText(text));
}

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
      `Rise of the mean loss that ${report.plan.method} predicts when one tensor takes one format, layer by layer. Full colour: taken; pale: not taken. The strips show what each layer was given.`,
    ),
    element("div", { class: "wide" }, chart),
    element("div", { class: "legend" }, ...used.map((format) => key(format, format))),
  );
}

function search(report: Report): string {
  const { evaluations, stopped, samples } = report.plan.search;
  return section(
    "Search",
    textElement(
      "p",
      { class: "soft" },
      `${plural(evaluations, "configuration")} evaluated in the engine on ${plural(samples, "sample")}. Dots are inside the limits, crosses outside; the line follows the order. It ended because ${stopped}.`,
    ),
    element("div", { class: "pair" }, ...searchCharts(report)),
  );
}

function verification({ plan: { verified } }: Report): string {
  if (verified === null) return "";
  const { paired, samples, kl, fusedAsPlanned, fusionProblems, undone, latencyRatio } = verified;
  const rows: [string, string][] = [["samples", String(samples)]];
  if (paired !== null) {
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
    ...details,
  );
}

function footer({ about: { version, output, machine } }: Report): string {
  return textElement(
    "footer",
    {},
    `${output}, written by bitwright ${version}. Latencies: ${machine.processor}, ${plural(machine.cores, "core")}, ${machine.platform}, Node ${machine.node}.`,
  );
}

/** A node's name, which may break behind its slashes. */
function nodeName(node: string): string {
  return element("code", {}, escapeText(node).replaceAll("/", "/<wbr>"));
}

function section(title: string, ...content: readonly string[]): string {
  return element("section", {}, textElement("h2", {}, title), ...content);
}

/** Headings that start with # are of numbers. */
function table(headings: readonly string[], rows: readonly string[]): string {
  const cells = headings.map((heading) =>
    heading.length > 1 && heading.startsWith("#")
      ? textElement("th", { class: "number" }, heading.slice(1))
      : textElement("th", heading === "#" ? { class: "number" } : {}, heading),
  );
  return element("table", {}, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows));
}
