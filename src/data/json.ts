import { BitwrightError } from "../errors.js";
import { Field } from "./field.js";

/** Parses a JSON document; `name` is what messages call it. */
export function parseJson(text: string, name: string): Field {
  try {
    return new Field(name, "", JSON.parse(text));
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
