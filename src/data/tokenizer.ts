import { BitwrightError } from "../errors.js";
import { type Files, readText } from "./files.js";
import { parseJson } from "./json.js";

/** A text, or a pair, as a model reads it. */
export interface EncodedText {
  readonly ids: Int32Array;
  /** 0 for the tokens of the first text, 1 for those of the second. */
  readonly types: Int32Array;
}

export interface EncodeOptions {
  /** Most tokens, special ones included; what is behind goes, of a pair from the longer text first. Default: what tokenizer.json says. */
  readonly maxLength: number | undefined;
  /** Whether the tokens that mark beginnings and ends are added. */
  readonly special: boolean;
}

export interface TextTokenizer {
  encode(text: string, pair: string | undefined, where: string): EncodedText;
  /** What stands behind the end of a text. */
  readonly pad: number;
}

/** What of the package is used; its own declarations do not resolve from a module of ES. */
interface Tokenizer {
  encode(
    text: string,
    options: { text_pair?: string | null; add_special_tokens: boolean; return_token_type_ids: true },
  ): { ids: (number | undefined)[]; token_type_ids?: number[] };
}

/**
 * Opens a `tokenizer.json`. The package @huggingface/tokenizers is optional and loaded at the first text: it knows the WordPiece, BPE and Unigram models of that
 * format, is plain JavaScript without dependencies, and does not truncate, which is why that is done here.
 */
export async function openTokenizer(files: Files, path: string, options: EncodeOptions): Promise<TextTokenizer> {
  const document = parseJson(await readText(files, path), path);
  const tokenizer = await create(document.value, path);
  const settings = document.value as { truncation?: { max_length?: number }; padding?: { pad_id?: number } };
  const maxLength = options.maxLength ?? settings.truncation?.max_length;
  const encode = (text: string, pair: string | undefined, special: boolean, where: string) => {
    const given = { add_special_tokens: special, return_token_type_ids: true } as const;
    const { ids, token_type_ids: types = [] } = tokenizer.encode(text, { ...given, text_pair: pair ?? null });
    const odd = ids.indexOf(undefined);
    if (odd >= 0) {
      throw new BitwrightError("invalid-data", "the tokenizer has no id for a piece of the text", {
        where,
        received: `token ${odd} of ${JSON.stringify(text.slice(0, 60))}`,
        remedy: `Give ${path} an unknown token.`,
      });
    }
    return { ids: ids as number[], types: ids.map((_, i) => types[i] ?? 0) };
  };
  return {
    pad: settings.padding?.pad_id ?? 0,
    encode(text, pair, where) {
      const whole = encode(text, pair, options.special, where);
      const excess = maxLength === undefined ? 0 : whole.ids.length - maxLength;
      const kept = excess <= 0 ? whole : cut(whole, partsOf(), excess, where);
      return { ids: Int32Array.from(kept.ids), types: Int32Array.from(kept.types) };

      function partsOf(): number[][] {
        return [text, ...(pair === undefined ? [] : [pair])].map((part) => encode(part, undefined, false, where).ids);
      }
    },
  };
}

interface Tokens {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** Takes tokens off the ends of the texts and leaves the special ones around them. */
function cut({ ids, types }: Tokens, parts: readonly number[][], excess: number, where: string): Tokens {
  const lengths = parts.map((part) => part.length);
  for (let left = excess; left > 0; left--) {
    const longest = lengths.lastIndexOf(Math.max(...lengths));
    if (lengths[longest] === 0) {
      throw new BitwrightError("invalid-data", "the longest length has no room for the special tokens", {
        where,
        expected: `${ids.length - parts.flat().length} tokens or more`,
      });
    }
    lengths[longest]!--;
  }
  const keep = new Array<boolean>(ids.length).fill(true);
  let from = 0;
  for (const [p, part] of parts.entries()) {
    const start = find(ids, part, from);
    if (start < 0)
      throw new BitwrightError("invalid-data", "the tokenizer changes a text beside special tokens", { where });
    from = start + part.length;
    keep.fill(false, start + lengths[p]!, from);
  }
  return { ids: ids.filter((_, i) => keep[i]), types: types.filter((_, i) => keep[i]) };
}

function find(ids: readonly number[], part: readonly number[], from: number): number {
  for (let start = from; start + part.length <= ids.length; start++) {
    if (part.every((id, i) => ids[start + i] === id)) return start;
  }
  return -1;
}

async function create(json: unknown, where: string): Promise<Tokenizer> {
  const { Tokenizer } = await load();
  try {
    return new Tokenizer(json, {});
  } catch (cause) {
    throw new BitwrightError("invalid-data", "not a tokenizer that can be used", {
      where,
      received: (cause as Error).message,
      cause,
    });
  }
}

async function load(): Promise<{ Tokenizer: new (json: unknown, config: object) => Tokenizer }> {
  try {
    return (await import("@huggingface/tokenizers")) as never;
  } catch (cause) {
    throw new BitwrightError("runtime-missing", "texts are cut by @huggingface/tokenizers, which cannot be loaded", {
      remedy: "Run `npm install @huggingface/tokenizers`, or store token ids in a .jsonl or .npy file.",
      cause,
    });
  }
}
