import type { DataType } from "../tensor.js";
import type { ImageFilter } from "./images.js";
import type { MetricChoice } from "./metrics/metric.js";

/** A dataset.json document. Paths are relative to it; the guide is docs/data.md. */
export interface DatasetManifest {
  /** Free text: where the data comes from, its licence. */
  readonly description?: string;
  /** What feeds each input of the model, by input name. */
  readonly inputs: Readonly<Record<string, FileInput | MaskInput | TypesInput | ConstantInput | StateInput>>;
  /** Makes samples steps of sequences. Splits choose whole sequences then. Needed where there are states. */
  readonly sequences?: SequenceChoice;
  readonly labels?: ClassLabels | NextTokenLabels;
  /** True outputs for metrics that compare tensors (psnr, spearman): files read and preprocessed like an input. */
  readonly targets?: FileInput;
  /** Default: top1 with labels, agreement with the float model without. */
  readonly metric?: MetricChoice;
  /**
   * The samples belong to one whole, such as the nodes of a graph: every batch feeds all of them, and splits only choose whose labels count.
   * Needs class labels.
   */
  readonly transductive?: boolean;
  /** Default: a fixed shuffle cut into 20 % (512 samples at most), 30 % and the rest. */
  readonly splits?: Partial<Record<SplitName, SplitSelector>>;
}

/** Samples out of files. A value v becomes (v * scale - mean) / std, in double, rounded once to `dtype`. */
export interface FileInput {
  /**
   * `.npy`; `.npz#member`; a folder of pictures; a list of pictures (`.txt`, a path a line; `.json`, paths or objects);
   * `.jsonl` of token ids; with `tokenizer`, texts (`.txt`, one a line; `.tsv`; `.jsonl`). Several files follow one another: the samples of the second come after those of the first.
   */
  readonly file: string | readonly string[];
  /**
   * Member that holds the path (.json, default "file"), the ids (.jsonl, default "ids") or the text (.jsonl, default "text"); of a .tsv the column, by its name in
   * the first line, or by its number from 0 where there is no such line.
   */
  readonly field?: string | number;
  /** Texts: the `tokenizer.json` that turns them into token ids. */
  readonly tokenizer?: string;
  /** Texts: member or column of a second text, for models that read pairs. */
  readonly pair?: string | number;
  /** Texts: most tokens, special ones included. Default: what the tokenizer says, or no limit. */
  readonly maxLength?: number;
  /** Texts: whether the tokenizer's marks of beginning and end are added. Default true. */
  readonly specialTokens?: boolean;
  /**
   * Axes as stored and as the model takes them, "NHWC>NCHW": N samples, C channels, 1 an axis of one element that is dropped
   * or added. Default "NHWC>NCHW" for pictures; other data keeps its axes, samples first.
   */
  readonly layout?: string;
  /** Channel order of the model. Files hold RGB: "BGR" reverses the channel axis. "GRAY" decodes pictures to one channel. */
  readonly channels?: "RGB" | "BGR" | "GRAY";
  /** Each one number or one for every channel, in the model's channel order. Defaults 1, 0, 1. */
  readonly scale?: number | readonly number[];
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
  /** Element type of the model's input. Default float32; int64 for tokens. */
  readonly dtype?: DataType;
  /** Pictures: new length of the shorter side, or [height, width]. */
  readonly resize?: number | readonly [number, number];
  /** Pictures: side of the central square that is kept, or [height, width]. */
  readonly crop?: number | readonly [number, number];
  /** Pictures: resampling filter of `resize`. Default "bilinear" (area-weighted when it shrinks). */
  readonly filter?: ImageFilter;
  /** `.npy`, `.npz#member`: the places of a sparse matrix as [2, places], rows and columns, whose rows are the samples; each place adds 1. */
  readonly sparse?: SparseMatrix;
  /** `.npy` sequences: file with the true length of each row; one for each `file`. */
  readonly lengths?: string | readonly string[];
  /** Value behind the end of a sequence. Default 0, or what the tokenizer says. */
  readonly pad?: number;
  /** Length to which sequences are padded: the longest of the data set (default), the longest of the batch, or a number. */
  readonly padTo?: "dataset" | "batch" | number;
}

export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  /** "row" divides rows by their sums; "symmetric" divides by the root of the sums of the entry's row and column. Default: neither. */
  readonly normalize?: "row" | "symmetric";
}

/** 1 where a sequence input has an element, 0 where it is padded. */
export interface MaskInput {
  readonly maskOf: string;
  /** Default: the type of that input. */
  readonly dtype?: DataType;
}

/** Which of two texts a token is of: 0 or 1. */
export interface TypesInput {
  /** The input of texts. */
  readonly typesOf: string;
  /** Default: the type of that input. */
  readonly dtype?: DataType;
}

/** The same value for every batch, of a fixed shape without sample axis. */
export interface ConstantInput {
  /** One number for all elements, or every element in C order. */
  readonly value: number | readonly number[];
  /** Default [] (a scalar), or [length] for a list. */
  readonly dims?: readonly number[];
  /** Default float32. */
  readonly dtype?: DataType;
}

/** An input that the model takes from its own output of the step before: a recurrent state, a cache. */
export interface StateInput {
  /** The output. */
  readonly stateOf: string;
  /** Shape of the input; "N" is the axis of the batch, without which one sequence is run at a time. */
  readonly dims: readonly (number | "N")[];
  /** What a sequence starts with: one number for all elements, or those of one sequence in C order. Default 0. */
  readonly initial?: number | readonly number[];
  /** Default float32. */
  readonly dtype?: DataType;
}

/** Where sequences start and end: one of the three. Their steps are samples next to each other. */
export interface SequenceChoice {
  /** `.npy` and so on, as for labels, with an id for each sample: the same for the steps of a sequence. */
  readonly file?: string;
  /** Numbers of steps, or a file with them. */
  readonly lengths?: readonly number[] | string;
  /** The same number of steps for all; what is left at the end is one more. */
  readonly length?: number;
}

/** Class numbers, one a sample. */
export interface ClassLabels {
  /** `.npy`, `.npz#member`, `.json`, `.jsonl`, `.tsv`, or `.txt` with a number a line; several follow one another. */
  readonly file: string | readonly string[];
  /** Member of the objects of a .json or .jsonl file, or column of a .tsv. Default "label". */
  readonly field?: string | number;
  /** Added to every label, for models whose class numbers are shifted. Default 0. */
  readonly offset?: number;
}

/** Language models: the label of each token is the token after it; the last has none. */
export interface NextTokenLabels {
  readonly nextOf: string;
}

export const splitNames = ["calibration", "search", "verify"] as const;
export type SplitName = (typeof splitNames)[number];

/** Samples, or sequences where there are any, from `[first, end)`; every k-th of a range; or a list. */
export type SplitSelector =
  | readonly [number, number]
  | {
      /** Period: index i of the range is taken when (i - first) mod every is one of `at`. */
      readonly every: number;
      /** Default 0. */
      readonly at?: number | readonly number[];
      /** Default: all samples. */
      readonly range?: readonly [number, number];
    }
  | { readonly indices: readonly number[] };
