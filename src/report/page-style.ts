import type { Format } from "../formats.js";

/** What stands for each format, on light and on dark ground. */
const formatColours: Readonly<Record<Format, readonly [light: string, dark: string]>> = {
  float: ["#9aa3ad", "#6d7782"],
  fp16: ["#8a6fd1", "#a68df0"],
  bf16: ["#b565c4", "#cf86dd"],
  int16: ["#5b63c9", "#7f87ea"],
  fp8e4m3: ["#c07a1e", "#e09a3c"],
  fp8e5m2: ["#b4593f", "#d67a5f"],
  int8b32: ["#2c58c9", "#6285f2"],
  int8b128: ["#3a86d8", "#6aa9ee"],
  int8: ["#2f6fd6", "#5b94f0"],
  int4b16: ["#177f74", "#38a699"],
  int4b32: ["#1c8a8a", "#3fb0b0"],
  int4b64: ["#24849a", "#47aabf"],
  int4b128: ["#2a7d9c", "#4fa3c4"],
  int4b256: ["#33779f", "#589ec9"],
  int4: ["#12966f", "#2fb98c"],
};

const light = `--page: #fff; --ink: #1b1f24; --soft: #5b6672; --line: #dfe3e8; --card: #f6f7f9;
  --good: #12804f; --bad: #c2372e; --band: #12804f1a; ${colours(0)}`;
const dark = `--page: #14171b; --ink: #e6e9ed; --soft: #98a3af; --line: #2c333b; --card: #1c2127;
  --good: #3fbf83; --bad: #ef6a60; --band: #3fbf8322; ${colours(1)}`;

function colours(ground: 0 | 1): string {
  return Object.entries(formatColours)
    .map(([format, colour]) => `--${format}: ${colour[ground]};`)
    .join(" ");
}

const formatRules = Object.keys(formatColours)
  .map((format) => `.${format} { fill: var(--${format}); background: var(--${format}); }`)
  .join("\n");

/** The report page's style: one column, light and dark, fit for printing. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  ${light}
}
@media (prefers-color-scheme: dark) {
  :root { ${dark} }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 44px 0 6px; }
p { margin: 0 0 12px; } .soft, caption, footer { color: var(--soft); } code { font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }
.verdict { margin: 20px 0; padding: 12px 16px; border-left: 4px solid var(--good); background: var(--card); border-radius: 0 6px 6px 0; }
.verdict.bad { border-color: var(--bad); } .verdict strong { display: block; } .verdict p { margin: 4px 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; }
.tile { background: var(--card); border-radius: 8px; padding: 14px 16px; }
.tile h3 { margin: 0; font-size: 13px; font-weight: 500; color: var(--soft); }
.tile .now { font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile .was { font-variant-numeric: tabular-nums; color: var(--soft); }
.share { display: flex; height: 22px; border-radius: 5px; overflow: hidden; margin: 8px 0 6px; } .share span { min-width: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--soft); font-size: 13.5px; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
.wide { overflow-x: auto; } .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 16px; }
.trio { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 12px; } .trio svg { width: 100%; height: auto; max-width: 360px; }
svg { display: block; } .pair svg { width: 100%; height: auto; } .wide svg { max-width: none; }
svg text { fill: var(--ink); font-size: 12.5px; } svg .tick { fill: var(--soft); font-size: 11px; } svg .panel { font-weight: 600; }
svg .grid { stroke: var(--line); } svg .limit { stroke: var(--good); stroke-dasharray: 5 4; } svg .band { fill: var(--band); }
svg .path { fill: none; stroke: var(--line); stroke-width: 1.5; } svg .inside { fill: var(--good); } svg .outside { stroke: var(--bad); stroke-width: 2; }
${formatRules}
.pale { opacity: .3; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td code { overflow-wrap: anywhere; } .format { white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 8px 0; } dt { color: var(--soft); } dd { margin: 0; }
details { margin: 6px 0; } summary { cursor: pointer; } details li { margin: 2px 0; }
footer { margin-top: 48px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 13px; }
@media (max-width: 560px) { dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
@media print {
  :root { ${light} }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; } main { max-width: none; padding: 0; }
  section, .tile, tr { break-inside: avoid; } .wide svg { width: 100%; height: auto; }
}
`;
