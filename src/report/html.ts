import type { Verified } from "../plan.js";
import { describeLimits } from "./limits.js";
import { page } from "./page.js";
import type { Report } from "./report.js";
import { sections } from "./sections.js";
import { element, textElement } from "./svg.js";
import { describeChange, describePairs, describeSearch } from "./text.js";
import { bytes, digits, metricValue, milliseconds, percent, plural } from "./units.js";

/** A report as one page that needs nothing else: no network, no script. Its data is in the element `report`, as JSON. */
export function htmlReport(report: Report): string {
  const { about } = report;
  const parts = [header, tiles, ...sections, footer].map((part) => part(report));
  return page(`${about.model} quantized`, parts, report);
}

function header({ about, plan }: Report): string {
  const { limits, verified, unverified } = plan;
  const wanted = describeLimits(limits, plan.before.metric);
  const [title, good, text] =
    verified === null
      ? (["Not verified", false, `${unverified}. So far: ${describeSearch(plan)}.`] as const)
      : plan.unmet.length === 0
        ? (["Inside the limits", true, evidence(verified, plan.before.metric)] as const)
        : (["Outside the limits", false, evidence(verified, plan.before.metric)] as const);
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

function evidence({ paired, change, samples, kl }: Verified, name: string): string {
  const divergence = `mean divergence from the float model ${digits(kl)}`;
  const where = `in onnxruntime, on ${plural(samples, "sample")} that were held back`;
  const figures = paired === null ? describeChange(name, change) : describePairs(paired);
  return `${figures}; ${divergence}; ${where}`;
}

function tiles({ plan: { before, after, predicted, verified } }: Report): string {
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
    predicted.latencyProfile === null
      ? ""
      : tile(
          `latency of ${predicted.latencyProfile}`,
          figure(predicted.floatLatencyMs, milliseconds),
          figure(predicted.latencyMs, milliseconds),
          "from a profile, not measured",
        ),
  );
}

function footer({ about: { version, output, machine } }: Report): string {
  return textElement(
    "footer",
    {},
    `${output}, written by bitwright ${version}. Latencies: ${machine.processor}, ${plural(machine.cores, "core")}, ${machine.platform}, Node ${machine.node}.`,
  );
}
