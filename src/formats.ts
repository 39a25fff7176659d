/**
 * Number formats a tensor can take in a plan, the widest first. `float` is the model's own float32. Floating formats are IEEE 754 binary16,
 * bfloat16, and the 8-bit ones of Micikevicius et al., 2022 (ONNX FLOAT8E4M3FN and FLOAT8E5M2).
 * A format is added here, to `storedTypes` of the export, and to the choices of a target; searches and reports read this table.
 */
export const formats = {
  float: { kind: "floating", bits: 32, exponentBits: 8, mantissaBits: 23, scaled: false },
  fp16: { kind: "floating", bits: 16, exponentBits: 5, mantissaBits: 10, scaled: false },
  bf16: { kind: "floating", bits: 16, exponentBits: 8, mantissaBits: 7, scaled: false },
  int16: { kind: "integer", bits: 16, scaled: true },
  fp8e4m3: { kind: "floating", bits: 8, exponentBits: 4, mantissaBits: 3, scaled: true },
  fp8e5m2: { kind: "floating", bits: 8, exponentBits: 5, mantissaBits: 2, scaled: true },
  int8b32: { kind: "integer", bits: 8, scaled: true, block: 32 },
  int8b128: { kind: "integer", bits: 8, scaled: true, block: 128 },
  int8: { kind: "integer", bits: 8, scaled: true },
  int4b16: { kind: "integer", bits: 4, scaled: true, block: 16 },
  int4b32: { kind: "integer", bits: 4, scaled: true, block: 32 },
  int4b64: { kind: "integer", bits: 4, scaled: true, block: 64 },
  int4b128: { kind: "integer", bits: 4, scaled: true, block: 128 },
  int4b256: { kind: "integer", bits: 4, scaled: true, block: 256 },
  int4: { kind: "integer", bits: 4, scaled: true },
} as const satisfies Record<string, FormatInfo>;

export type FormatInfo = {
  /** Bits an element takes in the file. */
  readonly bits: number;
  /** Whether a weight has scales beside its elements: one for each output channel, or for each block of it. */
  readonly scaled: boolean;
  /** How many elements along the axis that a product sums over share a scale; all of an output channel when absent. */
  readonly block?: number;
} & (
  | { readonly kind: "integer" }
  | { readonly kind: "floating"; readonly exponentBits: number; readonly mantissaBits: number }
);

export type Format = keyof typeof formats;

/** What a weight can be stored as when it does not stay as the model has it. */
export type WeightFormat = Exclude<Format, "float">;

/** Formats whose steps grow with the value. */
export type FloatingFormat = {
  [F in WeightFormat]: (typeof formats)[F]["kind"] extends "floating" ? F : never;
}[WeightFormat];

/** Formats with scales for blocks of an output channel. */
export type BlockedFormat = {
  [F in WeightFormat]: (typeof formats)[F] extends { readonly block: number } ? F : never;
}[WeightFormat];

/** Formats whose codes can be packed into bytes next to the scales that they are multiplied by. */
export type PackedFormat = BlockedFormat | "int8" | "int4";

export function isFloating(format: WeightFormat): format is FloatingFormat {
  return formats[format].kind === "floating";
}

export function isPacked(format: WeightFormat): format is PackedFormat {
  return isBlocked(format) || format === "int8" || format === "int4";
}

export function isBlocked(format: WeightFormat): format is BlockedFormat {
  return "block" in formats[format];
}

/** What a search chooses for one layer: the format of its weight and of the activation it multiplies. */
export interface LayerChoice {
  readonly weight: Format;
  readonly activation: Format;
}

/** Stable spelling of a choice, used as a key in tables and files: `int4/int8` is weight int4, activation int8. */
export function choiceKey(choice: LayerChoice): string {
  return `${choice.weight}/${choice.activation}`;
}
