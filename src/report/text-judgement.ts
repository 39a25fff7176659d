import type { Judgement } from "../judge/judge.js";
import { columns } from "./columns.js";
import { judgementHeadings, judgementRows } from "./judgement.js";
import { plural } from "./units.js";

/** A judgement for a terminal. */
export function textJudgement(judgement: Judgement): string {
  const { samples, configurations, mild } = judgement;
  const few = configurations.filter(({ measured }) => measured < mild).length;
  return [
    `${plural(configurations.length, "random configuration")} and every site alone, measured on ${plural(samples, "sample")}`,
    `ratio, slope and median error: of the ${few} configurations that diverge by less than ${mild}`,
    "",
    ...columns([judgementHeadings.map((heading) => heading.replace(/^#/, "")), ...judgementRows(judgement)]),
  ].join("\n");
}
