import { BitwrightError } from "../errors.js";
import { type Files, readText } from "./files.js";
import { parseJsonLines } from "./json.js";
import { fileContents, type SampleSource } from "./source.js";

/**
 * Token sequences: .jsonl with a list of ids a line, or an object that holds the list in `field`.
 * Sequences keep their own lengths.
 */
export async function openTokens(files: Files, path: string, field: string): Promise<SampleSource> {
  const lines = parseJsonLines(await readText(files, path), path);
  const sequences = lines.map((line) => {
    const ids = Array.isArray(line.value) ? line : line.at(field);
    const list = ids.list();
    if (list.length === 0) ids.fail("one token or more");
    return Int32Array.from(list, (id) => id.integer(-(2 ** 31), 2 ** 31 - 1));
  });
  if (sequences.length === 0) {
    throw new BitwrightError("invalid-data", "the file is empty", { where: path, expected: "one sequence or more" });
  }
  return {
    size: sequences.length,
    dims: [null],
    lengths: Int32Array.from(sequences, (sequence) => sequence.length),
    where: (index) => `${path}, sequence ${index}`,
    read: async (indices) =>
      Array.from(indices, (index) => ({ dims: [sequences[index]!.length], data: sequences[index]! })),
    contents: () => fileContents(files, path),
  };
}
