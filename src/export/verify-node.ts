import type { Feeds, Tensor } from "../tensor.js";
import { type ModelSource, openSession, type Session, type SessionOptions } from "./session-node.js";

export interface PairedOptions extends SessionOptions {
  readonly signal?: AbortSignal;
}

/** Outputs of every model for one batch, by the name the model was given. */
export type PairedOutputs<Name extends string> = Readonly<Record<Name, Record<string, Tensor>>>;

/**
 * Runs models side by side in sessions with default options: each batch goes through all of them before the next one is taken.
 * @param models - Files by name, such as `{ float, quantized }`.
 * @param batches - Anything that carries feeds; it is handed on to `onOutputs`, so that labels can travel with it.
 * @throws BitwrightError `runtime-missing`; the signal's reason when it fires.
 */
export async function runPaired<Name extends string, Batch extends { readonly feeds: Feeds }>(
  models: Readonly<Record<Name, ModelSource>>,
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  onOutputs: (batch: Batch, outputs: PairedOutputs<Name>) => void | Promise<void>,
  options: PairedOptions = {},
): Promise<void> {
  const sessions: [Name, Session][] = [];
  try {
    for (const name of Object.keys(models) as Name[]) sessions.push([name, await openSession(models[name], options)]);
    for await (const batch of batches) {
      const outputs: Partial<Record<Name, Record<string, Tensor>>> = {};
      for (const [name, session] of sessions) {
        options.signal?.throwIfAborted();
        outputs[name] = await session.run(batch.feeds);
      }
      await onOutputs(batch, outputs as PairedOutputs<Name>);
    }
  } finally {
    for (const [, session] of sessions) await session.release();
  }
}
