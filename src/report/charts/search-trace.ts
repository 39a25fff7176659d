import { worstFigure } from "../../data/band.js";
import type { SearchStep } from "../../search/problem.js";
import type { Report } from "../report.js";
import {
  element,
  type Interval,
  linearScale,
  logDomain,
  logScale,
  powerLabel,
  type Scale,
  textElement,
} from "../svg.js";
import { bytes, digits, metricValue } from "../units.js";

const size = { width: 460, height: 300 };
const plot = { left: 62, right: 432, top: 26, bottom: 258 };

/** Every configuration that the search evaluated, by the predicted bytes of its file: the divergence from the float model, and the metric, each with its limit. */
export function searchCharts({ plan }: Report): string[] {
  const { steps } = plan.search;
  if (steps.length === 0) return [];
  const sizes = steps.map((step) => step.bytes);
  const x = linearScale(padded([Math.min(...sizes), Math.max(...sizes)]), [plot.left, plot.right], 5);
  return [divergenceChart(plan, x), ...metricChart(plan, x)];
}

function divergenceChart({ search, limits }: Report["plan"], x: Scale): string {
  const values = search.steps.map(({ verdict }) => verdict.divergence);
  const limit = limits.maxKl;
  const y = logScale(logDomain(limit === undefined ? values : [...values, limit], 6), [plot.bottom, plot.top], 6);
  const marks = search.steps.map((step) => ({
    step,
    value: step.verdict.divergence,
    label: digits(step.verdict.divergence),
  }));
  const band = limit === undefined ? "" : bandOf(y, limit, "below", `limit ${digits(limit)}`);
  // The float model's divergence, zero, has no place on this axis and is drawn at its end.
  return frame("divergence from the float model", x, y, powerLabel, [band, path(marks, x, y), ...points(marks, x, y)]);
}

/** Nothing where nothing was run. */
function metricChart({ search, limits, before }: Report["plan"], x: Scale): string[] {
  const { floatMetric, higherIsBetter } = search;
  const steps = search.steps.flatMap((step) =>
    step.verdict.metric === null ? [] : [{ step, value: step.verdict.metric }],
  );
  if (floatMetric === null || steps.length === 0) return [];
  const { keep } = limits;
  const shares = keep === undefined ? [] : [higherIsBetter ? keep * floatMetric : floatMetric / keep];
  const worst = [worstFigure({ float: floatMetric, higherIsBetter }, limits) ?? [], shares].flat();
  const limit = worst.length === 0 ? undefined : higherIsBetter ? Math.max(...worst) : Math.min(...worst);
  const values = [...steps.map(({ value }) => value), ...(limit === undefined ? [] : [limit])];
  const y = linearScale(padded([Math.min(...values), Math.max(...values)]), [plot.bottom, plot.top], 6);
  const text = (value: number) => metricValue(before.metric, value);
  const marks = steps.map(({ step, value }) => ({ step, value, label: text(value) }));
  const band = limit === undefined ? "" : bandOf(y, limit, higherIsBetter ? "above" : "below", `limit ${text(limit)}`);
  const title = `${before.metric} on the search samples`;
  return [frame(title, x, y, text, [band, path(marks, x, y), ...points(marks, x, y)])];
}

interface Mark {
  readonly step: SearchStep;
  readonly value: number;
  readonly label: string;
}

/** The region inside a limit. */
function bandOf(y: Scale, limit: number, side: "above" | "below", label: string): string {
  const at = Math.min(plot.bottom, Math.max(plot.top, y.at(limit)));
  const [top, bottom] = side === "above" ? [plot.top, at] : [at, plot.bottom];
  return [
    element("rect", {
      class: "band",
      x: plot.left,
      y: top,
      width: plot.right - plot.left,
      height: Math.max(0, bottom - top),
    }),
    element("line", { class: "limit", x1: plot.left, x2: plot.right, y1: at, y2: at }),
    textElement(
      "text",
      // The float model's point is at the other end.
      { class: "tick", x: plot.left + 4, y: side === "above" ? at - 5 : at + 13 },
      label,
    ),
  ].join("");
}

/** The way from one evaluation to the next. */
function path(marks: readonly Mark[], x: Scale, y: Scale): string {
  const points = marks.map(({ step, value }) => `${x.at(step.bytes).toFixed(1)},${y.at(value).toFixed(1)}`).join(" ");
  return element("polyline", { class: "path", points });
}

/** Dots inside the limits, crosses outside. */
function points(marks: readonly Mark[], x: Scale, y: Scale): string[] {
  return marks.map(({ step, value, label }, i) => {
    const [cx, cy] = [x.at(step.bytes), y.at(value)];
    const verdict = step.verdict.feasible ? "taken" : "refused";
    const name =
      i === 0 ? textElement("text", { class: "tick", x: cx - 8, y: cy - 8, "text-anchor": "end" }, "float") : "";
    const title = textElement("title", {}, `${i + 1} ${step.tried}\n${bytes(step.bytes)}, ${label}, ${verdict}`);
    if (step.verdict.feasible) return name + element("circle", { class: "inside", cx, cy, r: 4.5 }, title);
    const d = `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`;
    return name + element("path", { class: "outside", d }, title);
  });
}

function frame(
  title: string,
  x: Scale,
  y: Scale,
  label: (value: number) => string,
  content: readonly string[],
): string {
  const rows = y.ticks.flatMap((tick) => [
    element("line", { class: "grid", x1: plot.left, x2: plot.right, y1: y.at(tick), y2: y.at(tick) }),
    textElement("text", { class: "tick", x: plot.left - 6, y: y.at(tick) + 3.5, "text-anchor": "end" }, label(tick)),
  ]);
  const columns = x.ticks.map((tick) =>
    textElement("text", { class: "tick", x: x.at(tick), y: plot.bottom + 16, "text-anchor": "middle" }, bytes(tick)),
  );
  const axis = textElement(
    "text",
    { class: "tick", x: (plot.left + plot.right) / 2, y: plot.bottom + 34, "text-anchor": "middle" },
    "bytes of the file, as predicted",
  );
  return element(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": title },
    textElement("text", { class: "panel", x: plot.left, y: 14 }, title),
    ...rows,
    ...columns,
    axis,
    ...content,
  );
}

function padded([low, high]: Interval): Interval {
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - pad, high + pad];
}
