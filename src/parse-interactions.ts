import { decodeFloats } from "./base64.js";
import type { Field } from "./data/field.js";
import { type Format, formats } from "./formats.js";
import {
  type Interactions,
  interactionSources,
  type Matrix,
  type SiteChoice,
  type StoredProjections,
} from "./sensitivity/interactions.js";

/**
 * Checks the second-order terms of a saved analysis.
 * @param sites - Ids of the analysis's sites.
 * @throws BitwrightError `invalid-data` that names the field.
 */
export function parseInteractions(field: Field, sites: ReadonlySet<string>): Interactions {
  const names = ["source", "choices", "matrix", "corrected", "projections"] as const;
  const { source, choices: listed, matrix, corrected, projections } = field.object(names);
  const choices = parseChoices(listed, sites);
  return {
    source: source.choice(interactionSources),
    choices,
    matrix: parseMatrix(matrix, choices.length),
    ...(corrected.present && { corrected: parseMatrix(corrected, choices.length) }),
    ...(projections.present && { projections: parseProjections(projections, choices.length) }),
  };
}

function parseChoices(field: Field, sites: ReadonlySet<string>): SiteChoice[] {
  const known = new Set<string>();
  return field.list().map((item) => {
    const { site, format } = item.object(["site", "format"]);
    const choice = { site: site.text(), format: format.choice(Object.keys(formats) as Format[]) };
    if (!sites.has(choice.site)) site.fail("the id of a site of this analysis");
    const key = `${choice.format} ${choice.site}`;
    if (known.has(key)) item.fail("a choice that is not listed before");
    known.add(key);
    return choice;
  });
}

function parseMatrix(field: Field, size: number): Matrix {
  const rows = field.list();
  if (rows.length !== size) field.fail(`${size} rows, one for each choice`);
  const matrix = rows.map((row) => numbers(row, size));
  for (const [i, row] of matrix.entries()) {
    const j = row.findIndex((value, j) => value !== matrix[j]![i]);
    if (j >= 0) rows[i]!.list()[j]!.fail(`${matrix[j]![i]}, since the matrix is symmetric`);
  }
  return matrix;
}

function parseProjections(field: Field, choices: number): StoredProjections {
  const { probes, samples, data } = field.object(["probes", "samples", "data"]);
  const stored = { probes: probes.integer(1), samples: samples.integer(1), data: data.text() };
  const expected = stored.probes * stored.samples * choices;
  if (!isFloats(stored.data, expected)) data.fail(`${expected} finite float32 numbers in base64`);
  return stored;
}

function isFloats(text: string, count: number): boolean {
  // What follows decodes every character: not before the length is right.
  if (text.length !== 4 * Math.ceil((4 * count) / 3) || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return false;
  const values = decodeFloats(text);
  return values.length === count && values.every(Number.isFinite);
}

/** A list of so many finite numbers. */
export function numbers(field: Field, count: number): number[] {
  const items = field.list();
  if (items.length !== count) field.fail(`${count} numbers`);
  return items.map((item) => item.number());
}
