/**
 * Number formats a tensor can take in a plan. `float` is the model's own float32.
 * A format is added here and given its quantizer; searches and targets read this table.
 */
export const formats = {
  float: { kind: "float", bits: 32 },
  int8: { kind: "integer", bits: 8 },
  int4: { kind: "integer", bits: 4 },
} as const satisfies Record<string, FormatInfo>;

export interface FormatInfo {
  readonly kind: "float" | "integer";
  /** Bits an element takes in the file. */
  readonly bits: number;
}

export type Format = keyof typeof formats;

/** What a search chooses for one layer: the format of its weight and of the activation it multiplies. */
export interface LayerChoice {
  readonly weight: Format;
  readonly activation: Format;
}

/** Stable spelling of a choice, used as a key in tables and files: `int4/int8` is weight int4, activation int8. */
export function choiceKey(choice: LayerChoice): string {
  return `${choice.weight}/${choice.activation}`;
}
