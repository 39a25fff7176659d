// SVG and HTML as text. The charts of a report are drawn when it is written, so that the page needs neither script nor network; the
// charting libraries that can draw without a browser are many times larger than this package.

/** Text that stands for itself between tags and in attributes. */
export function escapeText(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

/** An element; numbers are rounded to a hundredth of a pixel. `content` is markup. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  ...content: readonly string[]
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeText(typeof value === "number" ? String(round(value)) : value!)}"`)
    .join("");
  return `<${name}${written}>${content.join("")}</${name}>`;
}

/** An element whose content is text. */
export function textElement(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  text: string,
): string {
  return element(name, attributes, escapeText(text));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Maps figures to places on an axis. */
export interface Scale {
  at(value: number): number;
  /** Round figures inside the domain. */
  readonly ticks: readonly number[];
}

export type Interval = readonly [from: number, to: number];

/** Equal steps for equal differences; about `count` ticks at 1, 2 or 5 times a power of ten. */
export function linearScale([low, high]: Interval, [from, to]: Interval, count: number): Scale {
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => span / size <= count)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return {
    at: (value) => from + ((value - low) / span) * (to - from),
    ticks: Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step),
  };
}

/** Equal steps for equal ratios; ticks at powers of ten, `count` at most. Figures below the domain, zero among them, lie at its low end. */
export function logScale([low, high]: Interval, [from, to]: Interval, count: number): Scale {
  const [first, last] = [
    Math.floor(Math.log10(low)),
    Math.max(Math.ceil(Math.log10(high)), Math.floor(Math.log10(low)) + 1),
  ];
  const every = Math.ceil((last - first + 1) / count);
  return {
    at(value) {
      const share = (Math.log10(Math.max(value, 10 ** first)) - first) / (last - first);
      return from + share * (to - from);
    },
    ticks: Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every)),
  };
}

/** The smallest and the largest of some figures above zero, at most `decades` powers of ten apart. */
export function logDomain(values: readonly number[], decades: number): Interval {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  if (positive.length === 0) return [1e-6, 1];
  const high = Math.max(...positive);
  return [Math.max(Math.min(...positive), high / 10 ** decades), high];
}

/** A power of ten as a label: `10⁻³`. */
export function powerLabel(value: number): string {
  const exponent = Math.round(Math.log10(value));
  return `10${[...String(exponent)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? "⁻").join("")}`;
}
