import type { KeptFloat } from "../kept-float.js";
import { bytes } from "./units.js";

/** What stays float, in a line. */
export function describeKept(kept: readonly KeptFloat[]): string[] {
  if (kept.length === 0) return [];
  const total = kept.reduce((sum, group) => sum + group.bytes, 0);
  const parts = kept.map((group) => {
    const what = group.tensors === 1 ? group.largest : `${group.tensors} tensors`;
    return `${bytes(group.bytes)} ${group.reason} (${what})`;
  });
  return [`left in float, ${bytes(total)}: ${parts.join("; ")}`];
}
