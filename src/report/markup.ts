import { element, escapeText, textElement } from "./svg.js";

/** A titled part of the page. */
export function section(title: string, ...content: readonly string[]): string {
  return element("section", {}, textElement("h2", {}, title), ...content);
}

/** A format's colour and its name or what is said of it. */
export function key(format: string, text: string): string {
  return element("span", {}, element("span", { class: `key ${format}` }), escapeText(text));
}

/** A node's name, which may break behind its slashes. */
export function nodeName(node: string): string {
  return element("code", {}, escapeText(node).replaceAll("/", "/<wbr>"));
}

/** A table of rows that are markup. Headings that start with # are of numbers. */
export function table(headings: readonly string[], rows: readonly string[]): string {
  const cells = headings.map((heading) =>
    heading.length > 1 && heading.startsWith("#")
      ? textElement("th", { class: "number" }, heading.slice(1))
      : textElement("th", heading === "#" ? { class: "number" } : {}, heading),
  );
  return element("table", {}, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows));
}
