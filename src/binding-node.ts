import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { Analysis, Binding } from "./analysis.js";
import type { Dataset } from "./data/dataset.js";
import { BitwrightError } from "./errors.js";
import type { Options } from "./options.js";

/**
 * What an analysis of this model, data and options is bound to.
 * @param known - A saved analysis, which must be bound to the same.
 * @throws BitwrightError `stale-analysis` when it is not, saying what differs.
 */
export async function bindingOf(path: string, dataset: Dataset, options: Options, known?: Analysis): Promise<Binding> {
  // Only what the numbers depend on: a search or another thread count may use the same analysis.
  const { target, formats, calibration, loss, samples, probes, batchSize, seed, arithmetic } = options;
  const binding: Binding = {
    model: await fileHash(path),
    data: await dataset.hash(),
    options: { target, formats, calibration, loss: loss ?? null, samples, probes, batchSize, seed, arithmetic },
  };
  if (known !== undefined) checkBinding(known, binding);
  return binding;
}

/** @throws BitwrightError `stale-analysis` when a saved analysis is not bound to `now`, saying what differs. */
export function checkBinding({ binding: saved }: Analysis, now: Binding): void {
  const differ = (expected: unknown, received: unknown) => JSON.stringify(expected) !== JSON.stringify(received);
  const parts = [
    ["model", saved.model, now.model],
    ["data set", saved.data, now.data],
    ...Object.entries(now.options).map(([name, value]) => [`option ${name}`, saved.options[name], value] as const),
  ] as const;
  const stale = parts.find(([, expected, received]) => differ(expected, received));
  if (stale === undefined) return;
  throw new BitwrightError("stale-analysis", `the saved analysis is of another ${stale[0]}`, {
    expected: String(JSON.stringify(stale[1])),
    received: String(JSON.stringify(stale[2])),
    remedy: "Analyze again, or use the model, data and options that it was made with.",
  });
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  } catch (cause) {
    throw new BitwrightError("io", "the model cannot be read", { where: path, cause });
  }
  return hash.digest("hex");
}
