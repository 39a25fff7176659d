import type { JudgedPredictor, Judgement } from "../judge/judge.js";
import { agreementChart } from "./charts/agreement.js";
import { judgementHeadings, judgementRows } from "./judgement.js";
import { key, section, table } from "./markup.js";
import { page } from "./page.js";
import type { About } from "./report.js";
import { element, textElement } from "./svg.js";
import { digits, plural } from "./units.js";

/** A judgement as a page: how each predictor's figures lie against measured ones. */
export function htmlJudgement(about: Omit<About, "output">, judgement: Judgement): string {
  const { samples, configurations, mild, predictors } = judgement;
  const rows = judgementRows(judgement).map((cells) =>
    element("tr", {}, ...cells.map((cell, i) => textElement("td", i === 0 ? {} : { class: "number" }, cell))),
  );
  const formats = [...new Set(predictors.flatMap(({ sites }) => sites.map(({ format }) => format)))];
  const parts = [
    element(
      "header",
      {},
      textElement("h1", {}, about.model),
      textElement(
        "p",
        { class: "soft" },
        `How well each predictor knows what quantization does: every site alone and ${plural(configurations.length, "random configuration")}, measured on ${plural(samples, "sample")}. Ratio, slope and error are of configurations that diverge by less than ${digits(mild)}.`,
      ),
    ),
    section("Agreement", element("div", { class: "wide" }, table(judgementHeadings, rows))),
    section(
      "Single sites",
      element("div", { class: "legend" }, ...formats.map((format) => key(format, format))),
      element("div", { class: "trio" }, ...predictors.filter(({ sites }) => sites.length > 0).map(sitesChart)),
    ),
    section(
      "Whole configurations",
      element("div", { class: "trio" }, ...predictors.map((p) => wholeChart(p, judgement))),
    ),
    textElement(
      "footer",
      {},
      `bitwright ${about.version}. ${about.machine.processor}, ${plural(about.machine.cores, "core")}.`,
    ),
  ];
  return page(`${about.model} judged`, parts, judgement);
}

function sitesChart({ name, sites }: JudgedPredictor): string {
  const points = sites.flatMap(({ kind, format, ids, predicted, measured }) =>
    predicted.map((value, i) => ({
      name: `${ids[i]} ${kind} in ${format}`,
      predicted: value,
      measured: measured[i]!,
      class: format,
    })),
  );
  return agreementChart(name, points);
}

function wholeChart({ name, whole }: JudgedPredictor, { configurations, mild }: Judgement): string {
  const points = configurations.map(({ layers, measured }, i) => ({
    name: Object.entries(layers)
      .map(([choice, count]) => `${count} ${choice}`)
      .join(", "),
    predicted: whole.predicted[i]!,
    measured,
    class: measured < mild ? "inside" : "float",
  }));
  return agreementChart(name, points);
}
