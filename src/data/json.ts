import { BitwrightError } from "../errors.js";
import { Field } from "./field.js";

/** Parses a JSON document; `name` is what messages call it. */
export function parseJson(text: string, name: string): Field {
  const value = parse(text, name);
  if (isDeeper(value, maxDepth)) {
    throw new BitwrightError("invalid-data", "the JSON document is nested too deeply", {
      where: name,
      expected: `at most ${maxDepth} levels`,
    });
  }
  return new Field(name, "", value);
}

/** More than any document needs, and few enough for functions that call themselves. */
const maxDepth = 64;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

function parse(text: string, name: string): unknown {
  try {
    // Some editors write a byte order mark.
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    throw new BitwrightError("invalid-data", `not valid JSON (${(cause as Error).message})`, { where: name, cause });
  }
}

/** Parses one JSON document a line; empty lines are skipped, line numbers count from 1. */
export function parseJsonLines(text: string, name: string): Field[] {
  return text
    .split(/\r?\n/)
    .map((line, i) => ({ line, where: `${name}, line ${i + 1}` }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, where }) => parseJson(line, where));
}
