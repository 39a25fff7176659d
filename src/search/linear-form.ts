import type { Factor, SearchGroup } from "./problem.js";
import { choiceOffsets } from "./score.js";

/** Something that depends on an assignment: a fixed part, and the sum of factors. */
export interface Quantity {
  readonly fixed: number;
  readonly factors: readonly Factor[];
}

/**
 * A factor over several groups, made linear: one share for each combination of classes. Choices of a group that lead to the same values form a
 * class.
 */
export interface Table {
  readonly groups: readonly number[];
  /** Of each group's choices. */
  readonly classes: readonly (readonly number[])[];
  /** How many classes each group has. */
  readonly counts: readonly number[];
  /** Row-major, the last group fastest. */
  readonly values: Float64Array;
}

/** A quantity as coefficients of choices and of combinations of classes. */
export interface LinearForm {
  constant: number;
  /** Of the choices of all groups, numbered through. */
  readonly choices: Float64Array;
  readonly tables: readonly Table[];
}

export function linearForm(groups: readonly SearchGroup[], { fixed, factors }: Quantity): LinearForm {
  const offsets = choiceOffsets(groups);
  const choices = new Float64Array(offsets.at(-1)!);
  const tables: Table[] = [];
  let constant = fixed;
  for (const factor of factors) {
    const table = tableOf(groups, factor);
    if (table.groups.length === 0) constant += table.values[0]!;
    else if (table.groups.length > 1) tables.push(table);
    else {
      const [classes] = table.classes;
      for (const [c, k] of classes!.entries()) choices[offsets[table.groups[0]!]! + c]! += table.values[k]!;
    }
  }
  return { constant, choices, tables };
}

/** Merges choices that make no difference; a group whose choices make none at all is left out. */
function tableOf(groups: readonly SearchGroup[], factor: Factor): Table {
  let table: Table = {
    groups: factor.groups,
    classes: factor.groups.map((g) => groups[g]!.choices.map((_, c) => c)),
    counts: factor.groups.map((g) => groups[g]!.choices.length),
    values: factor.values,
  };
  for (let axis = factor.groups.length - 1; axis >= 0; axis--) table = merged(table, axis);
  return table;
}

function merged({ groups, classes, counts, values }: Table, axis: number): Table {
  const count = counts[axis]!;
  const inner = counts.slice(axis + 1).reduce((product, n) => product * n, 1);
  const outer = values.length / (count * inner);
  const at = (o: number, k: number, i: number) => values[(o * count + k) * inner + i]!;
  const isSame = (a: number, b: number) => {
    for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) if (at(o, a, i) !== at(o, b, i)) return false;
    return true;
  };
  const kept: number[] = [];
  const classOf: number[] = [];
  for (let k = 0; k < count; k++) {
    const known = kept.findIndex((other) => isSame(other, k));
    classOf.push(known < 0 ? kept.push(k) - 1 : known);
  }
  if (kept.length === count) return { groups, classes, counts, values };
  const smaller = new Float64Array(outer * kept.length * inner);
  for (let o = 0; o < outer; o++)
    for (const [k, from] of kept.entries())
      for (let i = 0; i < inner; i++) smaller[(o * kept.length + k) * inner + i] = at(o, from, i);
  if (kept.length > 1) {
    return {
      groups,
      classes: classes.with(
        axis,
        classes[axis]!.map((k) => classOf[k]!),
      ),
      counts: counts.with(axis, kept.length),
      values: smaller,
    };
  }
  const without = <T>(items: readonly T[]) => items.toSpliced(axis, 1);
  return { groups: without(groups), classes: without(classes), counts: without(counts), values: smaller };
}
