import { BitwrightError } from "../errors.js";
import { readArray } from "./array-source.js";
import { Field } from "./field.js";
import { type Files, readText } from "./files.js";
import { parseJson, parseJsonLines } from "./json.js";
import { type Column, readTexts } from "./table.js";

const min = -(2 ** 31);
const max = 2 ** 31 - 1;

/**
 * A list of 32-bit integers from a file, such as labels or lengths: a one-dimensional .npy or .npz array, a .json list or
 * .jsonl lines of numbers or of objects that hold one in `member`, a column of a .tsv, or .txt with a number a line.
 */
export async function readIntegers(files: Files, reference: string, member: Column): Promise<Int32Array> {
  const extension = /\.(npy|npz|json|jsonl|tsv|txt)(#.+)?$/i.exec(reference)?.[1]?.toLowerCase();
  switch (extension) {
    case "npy":
    case "npz":
      return fromArray(files, reference);
    case "json":
      return fromFields(parseJson(await readText(files, reference), reference).list(), String(member));
    case "jsonl":
      return fromFields(parseJsonLines(await readText(files, reference), reference), String(member));
    case "tsv":
      return fromLines(await readTexts(files, reference, member), reference);
    case "txt":
      return fromLines((await readText(files, reference)).split(/\r?\n/), reference);
    default:
      throw new BitwrightError("invalid-data", "unknown kind of file for a list of numbers", {
        where: reference,
        expected: ".npy, .npz#member, .json, .jsonl, .tsv or .txt",
      });
  }
}

async function fromArray(files: Files, reference: string): Promise<Int32Array> {
  const { dims, data } = await readArray(files, reference);
  if (dims.length !== 1 || data instanceof Float32Array || data instanceof Float64Array) {
    throw new BitwrightError("invalid-data", "not a list of integers", {
      where: reference,
      expected: "a one-dimensional integer array",
      received: `${data.constructor.name} of shape [${dims.join(", ")}]`,
    });
  }
  return Int32Array.from(data as Int32Array, (value, i) =>
    new Field(reference, `[${i}]`, Number(value)).integer(min, max),
  );
}

function fromFields(entries: readonly Field[], member: string): Int32Array {
  return Int32Array.from(entries, (entry) => {
    const value = typeof entry.value === "object" ? entry.at(member) : entry;
    return value.integer(min, max);
  });
}

function fromLines(lines: readonly string[], reference: string): Int32Array {
  const given = lines.filter((line) => line.trim() !== "");
  return Int32Array.from(given, (line, i) => {
    const value = /^\s*[+-]?\d+\s*$/.test(line) ? Number(line) : line;
    return new Field(reference, `entry ${i + 1}`, value).integer(min, max);
  });
}
