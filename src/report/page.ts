import { pageStyle } from "./page-style.js";
import { escapeText } from "./svg.js";

/** A page that needs nothing else: no network, no script. What it shows is in the element `report` too, as JSON. */
export function page(title: string, parts: readonly string[], data: unknown): string {
  // Only "<" could end the element early.
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${parts.filter((part) => part !== "").join("\n")}
</main>
<script type="application/json" id="report">${json}</script>
</body>
</html>
`;
}
