import { mostLatencyError } from "../cost/latency-model.js";
import type { FigureChange } from "../data/figure-change.js";
import type { PairedComparison } from "../data/statistics.js";
import type { Plan, Verified } from "../plan.js";
import { columns } from "./columns.js";
import { describeKept } from "./kept.js";
import { describeUnmet } from "./limits.js";
import type { Report, ReportLayer } from "./report.js";
import { restrictions } from "./restrictions.js";
import { bytes, digits, metricValue, milliseconds, percent, plural } from "./units.js";

/** Layers that are printed one by one; of longer models only the exceptions are. */
const mostLayers = 24;

/** What is said of a file whose weights overflow the kernels here. */
export const saturation =
  "the sums of this machine's integer kernels saturate with int8 weights of more than 7 bits, which the file has";

/** A report for a terminal: the layers with their formats and reasons, and the figures before and after. */
export function textReport(report: Report, { verbose = false } = {}): string {
  const { layers } = report;
  const table = verbose || layers.length <= mostLayers ? layerTable(layers) : summary(report);
  const limits = restrictions(report.plan.changes).map((restriction) => `the file ${restriction}`);
  const parts = [table, describeKept(report.plan.keptFloat), figures(report), [...verification(report), ...limits]];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function layerTable(layers: readonly ReportLayer[]): string[] {
  const rows = layers.map(({ node, op, weightFormat, activationFormat, why }) => [
    node,
    op,
    weightFormat,
    activationFormat,
    why,
  ]);
  return columns([["layer", "op", "weight", "activation", "why"], ...rows]);
}

/** Counts the formats and lists the layers that do not have the commonest. */
function summary({ layers, choices }: Report): string[] {
  const total = layers.reduce((sum, { elements }) => sum + elements, 0);
  const counts = choices.map(({ weight, activation, layers, elements }) => [
    weight,
    activation,
    plural(layers, "layer"),
    `${percent(elements / total, 1)} of the weights`,
  ]);
  const [commonest] = [...choices].sort((a, b) => b.layers - a.layers);
  const others = layers.filter(
    ({ weightFormat, activationFormat }) =>
      weightFormat !== commonest!.weight || activationFormat !== commonest!.activation,
  );
  const shown = others.slice(0, mostLayers);
  const more = others.length - shown.length;
  return [
    ...columns([["weight", "activation", "layers", "share"], ...counts]),
    ...(others.length === 0 ? [] : ["", "otherwise than most:", ...layerTable(shown)]),
    ...(more === 0 ? [] : [`and ${more} more; --verbose prints all`]),
  ];
}

function figures({ plan: { before, after, predicted, verified } }: Report): string[] {
  const value = (figure: number | null) => (figure === null ? "?" : metricValue(before.metric, figure));
  const time = (figure: number | null) => (figure === null ? "?" : milliseconds(figure));
  return columns([
    ["", "float", "quantized", ""],
    [before.metric, value(before.value), value(after.value), verified === null ? "" : kept(verified, before.metric)],
    ["size", bytes(before.bytes), bytes(after.bytes), percent(after.bytes / before.bytes, 1)],
    [
      "latency",
      time(before.latencyMs),
      time(after.latencyMs),
      verified === null ? "" : `${verified.latencyRatio.toFixed(2)} x, median of interleaved runs`,
    ],
    ...profileRow(predicted),
  ]);
}

function profileRow({ latencyProfile, floatLatencyMs, latencyMs }: Plan["predicted"]): string[][] {
  if (latencyProfile === null || floatLatencyMs === null || latencyMs === null) return [];
  const ratio = (latencyMs / floatLatencyMs).toFixed(2);
  const note = `${ratio} x, from a profile, not measured`;
  return [[`latency of ${latencyProfile}`, milliseconds(floatLatencyMs), milliseconds(latencyMs), note]];
}

/** What the pairs of answers say: the share that was kept, and what so many samples can tell. */
function kept({ paired, change, kl }: Verified, metric: string): string {
  return paired === null
    ? `${describeChange(metric, change)}; divergence ${kl.toExponential(1)}`
    : describePairs(paired);
}

/** What figures on the same samples show. */
export function describeChange(
  metric: string,
  { keepRatio, difference, quantized, confidence, unit, units }: FigureChange,
): string {
  const sure = `with ${percent(confidence, 0)} confidence, from ${plural(units, unit.slice(0, -1))}`;
  if (keepRatio !== null && difference !== null) {
    const from = `${signed(metric, difference.low)} to ${signed(metric, difference.high)}`;
    return `${percent(keepRatio.value)} kept, at least ${percent(keepRatio.low)} ${sure}; changed by ${from}`;
  }
  if (quantized === null) return `${plural(units, unit.slice(0, -1))} cannot tell how sure the figure is`;
  return `${metricValue(metric, quantized.low)} to ${metricValue(metric, quantized.high)} ${sure}`;
}

function signed(metric: string, value: number): string {
  return `${value < 0 ? "-" : "+"}${metricValue(metric, Math.abs(value))}`;
}

/** What a comparison on the same samples shows. */
export function describePairs({ keepRatio, lost, gained, confidence, samples }: PairedComparison): string {
  const bound = `at least ${percent(keepRatio.low)} with ${percent(confidence, 0)} confidence`;
  return `${percent(keepRatio.value)} kept, ${bound}; ${lost} answers lost, ${gained} gained of ${samples}`;
}

/** What the search found in the engine's simulation: all that is known of a model that was not verified. */
export function describeSearch({ before, search }: Plan): string {
  if (search.metric === null || search.floatMetric === null) {
    return `nothing was run; the predicted divergence is ${digits(search.divergence)}`;
  }
  const figure = (value: number) => metricValue(before.metric, value);
  const change = `${before.metric} ${figure(search.floatMetric)} float, ${figure(search.metric)} quantized`;
  const where = `on ${plural(search.samples, "search sample")}, computed by bitwright's engine`;
  return `${change}, divergence ${digits(search.divergence)}, ${where}`;
}

/** Tells when predictions of losses or times are not to be trusted, or alone decide, and how near to the best what was found is proven to be. */
export function describeTrust({ limits, predicted, search: { trust, proof } }: Plan): string[] {
  const { latencyError, latencyProfile } = predicted;
  const lines: string[] = [];
  if (latencyProfile !== null && limits.maxLatency !== undefined) {
    lines.push(
      `the limit on latency is held by what the profile ${latencyProfile} predicts alone: no such machine was timed`,
    );
  }
  if (latencyError !== null && latencyError > mostLatencyError) {
    const remedy = "measure them again with analyze --latency on a quiet machine";
    lines.push(`predicted times were ${percent(latencyError, 0)} off when they were checked: ${remedy}`);
  }
  if (trust !== null && !trust.trusted) {
    const { loss, standardError, measured } = trust;
    const predicted = `${digits(loss)}${standardError === undefined ? "" : ` +- ${digits(standardError)}`}`;
    const figures = `a divergence of ${predicted} was predicted, ${digits(measured)} measured on the search samples`;
    lines.push(
      trust.explained
        ? `its samples leave the prediction uncertain: ${figures}; more samples make it surer`
        : `the prediction is not to be trusted here: ${figures}`,
    );
  }
  if (proof !== null && proof.gap > 0) {
    lines.push(`what was found is within ${percent(proof.gap, 1)} of the best that predictions allow`);
  }
  return lines;
}

function verification({ plan }: Report): string[] {
  const { verified, unverified, unmet } = plan;
  const outside = unmet.length === 0 ? [] : [describeUnmet(unmet)];
  if (verified === null)
    return [`not verified: ${unverified}`, describeSearch(plan), ...describeTrust(plan), ...outside];
  const where = `in onnxruntime on ${plural(verified.samples, "sample")} that were held back`;
  const lines = [`${unmet.length === 0 ? "verified" : "NOT within the limits"} ${where}`, ...outside];
  const detectable = verified.paired?.smallestDetectableDrop;
  if (detectable !== undefined)
    lines.push(`so many samples show a drop of ${(100 * detectable).toFixed(2)} points or more`);
  lines.push(...describeTrust(plan));
  if (verified.undone > 0)
    lines.push(`${plural(verified.undone, "group")} taken back after an earlier file had failed`);
  if (verified.saturates) lines.push(`${saturation}: analyze on this machine, or with --reduce-range always`);
  if (verified.fusedAsPlanned)
    lines.push("the engine's optimized graph has integer kernels exactly where the plan has them");
  else
    lines.push(
      "the engine runs some layers otherwise than planned:",
      ...verified.fusionProblems.map((problem) => `  ${problem}`),
    );
  return lines;
}
