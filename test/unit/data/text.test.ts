import { describe, expect, it, vi } from "vitest";
import type { Dataset } from "../../../src/data/dataset.js";
import { datasetFromFiles } from "../../../src/data/from-files.js";
import type { DatasetManifest, FileInput } from "../../../src/data/manifest.js";

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
const vocab = (...pieces: string[]) => Object.fromEntries([...special, ...pieces].map((piece, id) => [piece, id]));
const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
const mark = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });

/** A tokenizer.json that lowers, splits at white space and puts marks around. */
function tokenizer(model: object, more: object = {}) {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: {
      type: "TemplateProcessing",
      single: [mark("[CLS]", 0), sequence("A", 0), mark("[SEP]", 0)],
      pair: [mark("[CLS]", 0), sequence("A", 0), mark("[SEP]", 0), sequence("B", 1), mark("[SEP]", 1)],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] },
      },
    },
    decoder: null,
    model,
    ...more,
  };
}

const wordPiece = {
  type: "WordPiece",
  unk_token: "[UNK]",
  continuing_subword_prefix: "##",
  max_input_chars_per_word: 20,
  vocab: vocab("un", "##able", "##do", "able", "do", "it"),
};
// Merges: l o -> lo, lo w -> low.
const bpe = {
  type: "BPE",
  unk_token: "[UNK]",
  vocab: vocab("l", "o", "w", "e", "r", "lo", "low"),
  merges: ["l o", "lo w"],
};
// The best split of "abc" is ab + c: -1 - 1 > -3 - 3 - 1.
const unigram = {
  type: "Unigram",
  unk_id: 1,
  vocab: [...special.map((piece) => [piece, 0]), ["a", -3], ["b", -3], ["c", -1], ["ab", -1]],
};

function bytes(content: string | object): Uint8Array {
  return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
}

function open(
  input: Partial<FileInput>,
  text: string,
  { model = tokenizer(wordPiece), more = {} }: { model?: object; more?: Partial<DatasetManifest> } = {},
): Promise<Dataset> {
  const file = (input.file as string | undefined) ?? "texts.txt";
  const inputs = {
    ids: { file, tokenizer: "tokenizer.json", ...input },
    mask: { maskOf: "ids" },
    types: { typesOf: "ids" },
  } as const;
  return datasetFromFiles({ inputs, ...more }, { [file]: bytes(text), "tokenizer.json": bytes(model) });
}

async function feeds(dataset: Dataset, name: "ids" | "mask" | "types") {
  for await (const { feeds } of dataset.batches("all", 8)) {
    const { dims, data } = feeds[name]!;
    const rows = Array.from(data as BigInt64Array, Number);
    return Array.from({ length: dims[0]! }, (_, i) => rows.slice(i * dims[1]!, (i + 1) * dims[1]!));
  }
}

describe("texts", () => {
  it("become WordPiece ids with marks, a mask, and padding", async () => {
    const dataset = await open({}, "Undo it\nunable\nxyz\n");
    expect(await feeds(dataset, "ids")).toEqual([
      [2, 4, 6, 9, 3],
      [2, 4, 5, 3, 0],
      [2, 1, 3, 0, 0],
    ]);
    expect(await feeds(dataset, "mask")).toEqual([
      [1, 1, 1, 1, 1],
      [1, 1, 1, 1, 0],
      [1, 1, 1, 0, 0],
    ]);
    expect(dataset.inputs[0]).toMatchObject({ name: "ids", dtype: "int64", dims: [null, 5] });
  });

  it("become the ids of BPE and of Unigram models", async () => {
    const pairs = await open({ specialTokens: false }, "lower", { model: tokenizer(bpe) });
    expect(await feeds(pairs, "ids")).toEqual([[10, 7, 8]]);
    const likeliest = await open({ specialTokens: false }, "abc ba", { model: tokenizer(unigram) });
    expect(await feeds(likeliest, "ids")).toEqual([[7, 6, 5, 4]]);
  });

  it("are cut behind, with the marks kept", async () => {
    const dataset = await open({ maxLength: 4 }, "undo it\nit\n");
    expect(await feeds(dataset, "ids")).toEqual([
      [2, 4, 6, 3],
      [2, 9, 3, 0],
    ]);
    const told = await open({}, "undo it", { model: tokenizer(wordPiece, { truncation: { max_length: 3 } }) });
    expect(await feeds(told, "ids")).toEqual([[2, 4, 3]]);
    await expect(open({ maxLength: 1 }, "it")).rejects.toThrow(/text 0: .*2 tokens or more/);
  });

  it("come in pairs, of which the longer is cut first", async () => {
    const text = "first\tsecond\nundo undo it\tit\nit\tdo it able\n";
    const columns = { file: "pairs.tsv", field: "first", pair: "second" };
    expect(await feeds(await open(columns, text), "ids")).toEqual([
      [2, 4, 6, 4, 6, 9, 3, 9, 3],
      [2, 9, 3, 8, 9, 7, 3, 0, 0],
    ]);
    const cut = await open({ ...columns, maxLength: 6 }, text);
    expect(await feeds(cut, "ids")).toEqual([
      [2, 4, 6, 3, 9, 3],
      [2, 9, 3, 8, 9, 3],
    ]);
    expect(await feeds(cut, "types")).toEqual([
      [0, 0, 0, 0, 1, 1],
      [0, 0, 0, 1, 1, 1],
    ]);
  });

  it("are found in columns and members, and labels beside them", async () => {
    const byNumber = await open({ file: "texts.tsv", field: 1 }, "1\tit\n0\tdo it\n", {
      more: { labels: { file: "texts.tsv", field: 0 } },
    });
    expect(await feeds(byNumber, "ids")).toEqual([
      [2, 9, 3, 0],
      [2, 8, 9, 3],
    ]);
    expect(byNumber.labels).toEqual(Int32Array.of(1, 0));
    const lines = '{"text": "it", "label": 3}\n"do it"\n';
    expect(await feeds(await open({ file: "texts.jsonl" }, lines), "ids")).toEqual(await feeds(byNumber, "ids"));
  });

  it("are padded as the tokenizer says, or the manifest", async () => {
    const model = tokenizer(wordPiece, { padding: { pad_id: 7 } });
    expect(await feeds(await open({ padTo: 4 }, "it", { model }), "ids")).toEqual([[2, 9, 3, 7]]);
    expect(await feeds(await open({ padTo: 4, pad: 5 }, "it", { model }), "ids")).toEqual([[2, 9, 3, 5]]);
  });

  it("have a hash that covers the tokenizer", async () => {
    const hashes = [
      await open({}, "it"),
      await open({}, "it", { model: tokenizer({ ...wordPiece, max_input_chars_per_word: 21 }) }),
      await open({}, "do"),
    ].map((dataset) => dataset.hash());
    expect(new Set(await Promise.all(hashes)).size).toBe(3);
  });

  it.each<[Partial<FileInput>, string, object, RegExp]>([
    [{}, "", tokenizer(wordPiece), /texts\.txt: a text has no tokens/],
    [{ specialTokens: false }, "it\n\n", tokenizer(wordPiece), /text 1: a text has no tokens/],
    [{}, "it", { version: "1.0" }, /tokenizer\.json: not a tokenizer/],
    [{}, "xyz", tokenizer({ ...wordPiece, unk_token: "[NONE]" }), /no id for a piece.*unknown token/],
    [{ file: "texts.npy" }, "it", tokenizer(wordPiece), /\.txt, \.tsv or \.jsonl/],
    [{ file: "texts.tsv", field: 2 }, "a\tb", tokenizer(wordPiece), /line 1: .*column 2; received 2 columns/],
    [{ file: "texts.tsv", field: "c" }, "a\tb", tokenizer(wordPiece), /column "c"; received 2 columns: a, b/],
    [{ mean: 1 }, "it", tokenizer(wordPiece), /mean: .*one of the fields/],
  ])("are refused from %j of %j", async (input, text, model, message) => {
    await expect(open(input, text, { model })).rejects.toThrow(message);
  });
});

it("says how to get the tokenizer when it is not installed", async () => {
  vi.resetModules();
  vi.doMock("@huggingface/tokenizers", () => {
    throw new Error("Cannot find package");
  });
  const fresh = await import("../../../src/data/from-files.js");
  const files = { "a.txt": bytes("it"), "tokenizer.json": bytes(tokenizer(wordPiece)) };
  const manifest = { inputs: { ids: { file: "a.txt", tokenizer: "tokenizer.json" } } };
  await expect(fresh.datasetFromFiles(manifest, files)).rejects.toMatchObject({
    code: "runtime-missing",
    message: expect.stringMatching(/npm install @huggingface\/tokenizers/),
  });
  vi.doUnmock("@huggingface/tokenizers");
});
