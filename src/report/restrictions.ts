import type { Change } from "../onnx/clean/index.js";

/** What the written model no longer does. */
export function restrictions(changes: readonly Change[]): string[] {
  return [...new Set(changes.flatMap(({ restriction }) => restriction ?? []))];
}
