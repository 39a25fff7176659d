import { BitwrightError } from "../errors.js";
import { type Files, readText } from "./files.js";
import { parseJsonLines } from "./json.js";

/** A column of a file: its name, or its number from 0 where the first line of a .tsv is no heading. */
export type Column = string | number;

/**
 * Texts of a file: `.txt` has one a line; `.tsv` one in a column of each line, without quoting; `.jsonl` one in a member of each line's object.
 */
export async function readTexts(files: Files, path: string, column: Column): Promise<string[]> {
  const text = await readText(files, path);
  if (/\.jsonl$/i.test(path)) {
    return parseJsonLines(text, path).map((line) =>
      (typeof line.value === "string" ? line : line.at(String(column))).textOrEmpty(),
    );
  }
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  if (!/\.tsv$/i.test(path)) return lines;
  const rows = lines.map((line) => line.split("\t"));
  if (typeof column === "number") return rows.map((row, i) => row[column] ?? missing(path, i, String(column), row));
  const [heading = [], ...rest] = rows;
  const at = heading.indexOf(column);
  if (at < 0) missing(path, 0, JSON.stringify(column), heading);
  return rest.map((row, i) => row[at] ?? missing(path, i + 1, JSON.stringify(column), row));
}

function missing(path: string, line: number, column: string, row: readonly string[]): never {
  throw new BitwrightError("invalid-data", "the line has no such column", {
    where: `${path}, line ${line + 1}`,
    expected: `column ${column}`,
    received: `${row.length} columns${line === 0 ? `: ${row.join(", ").slice(0, 80)}` : ""}`,
  });
}
