import type { Format } from "../../formats.js";
import type { Report, Sensitivity } from "../report.js";
import { element, escapeText, linearScale, logDomain, logScale, powerLabel, type Scale, textElement } from "../svg.js";
import { digits } from "../units.js";

const margin = { left: 64, right: 8 };
const panelHeight = 84;
const panelGap = 30;
const stripHeight = 16;

/**
 * The predicted rise of the loss, a panel for each kind of site and format on one logarithmic axis, layers side by side in graph order; below
 * them what each layer was given. Bars of formats that the layer did not get are pale.
 */
export function sensitivityChart({ layers, plan, sensitivities }: Report): string {
  const panels = sensitivities.filter(({ criterion }) => criterion === plan.criterion);
  if (panels.length === 0 || layers.length === 0) return "";
  const width = Math.max(920, margin.left + margin.right + 6 * layers.length);
  const x = linearScale([0, layers.length], [margin.left, width - margin.right], 12);
  const domain = logDomain(
    panels.flatMap(({ costs }) => costs.filter((cost) => cost !== null)),
    7,
  );
  const parts: string[] = [];
  let top = 18;
  for (const panel of panels) {
    const y = logScale(domain, [top + panelHeight, top], 4);
    parts.push(panelOf(panel, layers, x, y, { top, width }));
    top += panelHeight + panelGap;
  }
  parts.push(strip("weight", top, layers, x), strip("activation", top + stripHeight + 4, layers, x));
  const bottom = top + 2 * (stripHeight + 4);
  const numbers = x.ticks
    .filter((tick) => Number.isInteger(tick) && tick < layers.length)
    .map((tick) =>
      textElement(
        "text",
        { class: "tick", x: x.at(tick + 0.5), y: bottom + 12, "text-anchor": "middle" },
        String(tick + 1),
      ),
    );
  parts.push(...numbers);
  const height = bottom + 20;
  return element(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": "Predicted rise of the loss by layer and format",
    },
    ...parts,
  );
}

function panelOf(
  { kind, format, costs }: Sensitivity,
  layers: Report["layers"],
  x: Scale,
  y: Scale,
  { top, width }: { top: number; width: number },
): string {
  const bottom = top + panelHeight;
  const grid = y.ticks.flatMap((tick) => [
    element("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y.at(tick), y2: y.at(tick) }),
    textElement(
      "text",
      { class: "tick", x: margin.left - 6, y: y.at(tick) + 3.5, "text-anchor": "end" },
      powerLabel(tick),
    ),
  ]);
  const bars = costs.map((cost, i) => {
    if (cost === null) return "";
    const { node, weightFormat, activationFormat } = layers[i]!;
    const taken = (kind === "weight" ? weightFormat : activationFormat) === format;
    const gap = (x.at(1) - x.at(0)) * 0.12;
    const height = Math.max(1.5, bottom - y.at(cost));
    const tip = textElement(
      "title",
      {},
      `${i + 1} ${node}\n${kind} in ${format}: ${digits(cost)}${taken ? ", taken" : ""}`,
    );
    return element(
      "rect",
      {
        class: taken ? format : `${format} pale`,
        x: x.at(i) + gap,
        y: bottom - height,
        width: x.at(1) - x.at(0) - 2 * gap,
        height,
      },
      tip,
    );
  });
  const title = element("text", { class: "panel", x: margin.left, y: top - 6 }, escapeText(`${kind} in ${format}`));
  return [title, ...grid, ...bars].join("");
}

/** The chosen formats as a row of cells. */
function strip(kind: "weight" | "activation", top: number, layers: Report["layers"], x: Scale): string {
  const cells = layers.map(({ node, weightFormat, activationFormat }, i) => {
    const format: Format = kind === "weight" ? weightFormat : activationFormat;
    return element(
      "rect",
      { class: format, x: x.at(i) + 0.5, y: top, width: x.at(1) - x.at(0) - 1, height: stripHeight },
      textElement("title", {}, `${i + 1} ${node}\n${kind} ${format}`),
    );
  });
  return [
    textElement("text", { class: "tick", x: margin.left - 6, y: top + 12, "text-anchor": "end" }, kind),
    ...cells,
  ].join("");
}
