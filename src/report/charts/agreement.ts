import { element, type Interval, logDomain, logScale, powerLabel, textElement } from "../svg.js";
import { digits } from "../units.js";

const size = { width: 300, height: 280 };
const plot = { left: 52, right: 292, top: 26, bottom: 238 };

export interface AgreementPoint {
  readonly name: string;
  readonly predicted: number;
  readonly measured: number;
  /** Colour: the class of a format, or of what lies inside a limit. */
  readonly class: string;
}

/** Predicted against measured, both logarithmic; on the line they are equal. */
export function agreementChart(title: string, points: readonly AgreementPoint[]): string {
  const domain = logDomain(
    points.flatMap(({ predicted, measured }) => [predicted, measured]),
    8,
  );
  const x = logScale(domain, [plot.left, plot.right], 5);
  const y = logScale(domain, [plot.bottom, plot.top], 5);
  const marks = points.map(({ name, predicted, measured, class: colour }) =>
    element(
      "circle",
      { class: colour, cx: x.at(measured), cy: y.at(predicted), r: 3.5, opacity: 0.8 },
      textElement("title", {}, `${name}\npredicted ${digits(predicted)}, measured ${digits(measured)}`),
    ),
  );
  const label = (at: Interval, anchor: string, text: string) =>
    textElement("text", { class: "tick", x: at[0], y: at[1], "text-anchor": anchor }, text);
  return element(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": `${title}: predicted against measured` },
    textElement("text", { class: "panel", x: plot.left, y: 14 }, title),
    ...y.ticks.flatMap((tick) => [
      element("line", { class: "grid", x1: plot.left, x2: plot.right, y1: y.at(tick), y2: y.at(tick) }),
      label([plot.left - 5, y.at(tick) + 3.5], "end", powerLabel(tick)),
    ]),
    ...x.ticks.map((tick) => label([x.at(tick), plot.bottom + 15], "middle", powerLabel(tick))),
    label([(plot.left + plot.right) / 2, plot.bottom + 32], "middle", "measured"),
    element("line", { class: "limit", x1: plot.left, y1: plot.bottom, x2: plot.right, y2: plot.top }),
    ...marks,
  );
}
