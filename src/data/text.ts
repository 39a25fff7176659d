import { BitwrightError } from "../errors.js";
import type { Files } from "./files.js";
import type { TextSpec } from "./parse-file.js";
import { fileContents, type SampleSource } from "./source.js";
import { type Column, readTexts } from "./table.js";
import type { TextTokenizer } from "./tokenizer.js";

/** Texts of a file as token ids. They are cut when the file is opened, since their lengths have to be known. */
export async function openText(
  files: Files,
  path: string,
  column: Column,
  { pair, tokenizer: tokenizerPath }: TextSpec,
  tokenizer: TextTokenizer,
): Promise<SampleSource> {
  const [texts, pairs] = await Promise.all([
    readTexts(files, path, column),
    pair === undefined ? undefined : readTexts(files, path, pair),
  ]);
  const where = (index: number) => `${path}, text ${index}`;
  const empty = (at: string) =>
    new BitwrightError("invalid-data", "a text has no tokens", { where: at, expected: "one token or more" });
  const encoded = texts.map((text, i) => tokenizer.encode(text, pairs?.[i], where(i)));
  const none = encoded.findIndex(({ ids }) => ids.length === 0);
  if (none >= 0) throw empty(where(none));
  if (texts.length === 0) throw empty(path);
  return {
    size: texts.length,
    dims: [null],
    lengths: Int32Array.from(encoded, ({ ids }) => ids.length),
    types: encoded.map(({ types }) => types),
    pad: tokenizer.pad,
    where,
    read: async (indices) =>
      Array.from(indices, (index) => ({ dims: [encoded[index]!.ids.length], data: encoded[index]!.ids })),
    async *contents() {
      yield* fileContents(files, tokenizerPath);
      yield* fileContents(files, path);
    },
  };
}
