import type { Analysis } from "../analysis.js";
import { columns } from "./columns.js";
import { milliseconds, plural } from "./units.js";

/** Sites that are printed for each criterion. */
const most = 10;

/** An analysis for a terminal: the sites that each criterion finds most sensitive. */
export function textAnalysis({ sites, criteria, latency }: Analysis): string {
  const lines = [plural(sites.length, "site")];
  if (latency !== undefined) {
    const source = latency.profile === undefined ? "measured" : `from the profile ${latency.profile}, not measured`;
    lines.push(`float latency ${milliseconds(latency.floatMs)}, ${source}`);
  }
  for (const [name, scores] of Object.entries(criteria)) {
    const formats = [
      ...new Set(Object.values(scores).flatMap(({ cost }) => Object.keys(cost))),
    ] as (keyof (typeof scores)[string]["cost"])[];
    const worst = (id: string) => Math.max(0, ...Object.values(scores[id]?.cost ?? {}));
    const order = sites.filter(({ id }) => scores[id] !== undefined).sort((a, b) => worst(b.id) - worst(a.id));
    const rows = order
      .slice(0, most)
      .map(({ id, op }) => [id, op, ...formats.map((format) => scores[id]!.cost[format]?.toExponential(2) ?? "")]);
    lines.push(
      "",
      `${name}: predicted rise of the loss, the most sensitive first`,
      ...columns([["site", "op", ...formats], ...rows]),
    );
  }
  return lines.join("\n");
}
