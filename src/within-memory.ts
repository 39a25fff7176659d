import { BitwrightError } from "./errors.js";
import type { EngineModel } from "./evaluate/engine-model.js";

/** Whether the engine refused to hold more than it may. */
export function isOutOfMemory(error: unknown): error is BitwrightError {
  return error instanceof BitwrightError && error.code === "out-of-memory";
}

/**
 * Does some work in batches of so many samples, or of half as many whenever the engine may not hold what a batch needs; where one sample alone is too much, its
 * activations are computed again in place of being kept. Results do not depend on either, and what is too large is refused at the first batch, so little
 * is done twice.
 * @throws BitwrightError `out-of-memory` when that is too much as well, with what would do where that is known.
 */
export async function withinMemory<T>(
  engine: Pick<EngineModel, "recomputes" | "graph">,
  batchSize: number,
  work: (batchSize: number) => Promise<T>,
): Promise<T> {
  const attempt = async (size: number) => {
    // What was before may have left its last batch.
    await engine.graph.forget();
    return work(size);
  };
  for (let size = batchSize; ; size = Math.floor(size / 2)) {
    try {
      return await attempt(size);
    } catch (error) {
      // What is part of this work may have been refused for good.
      if (!isOutOfMemory(error) || isRefusal(error)) throw error;
      if (size > 1) continue;
      if (engine.recomputes) throw refusal(error);
      break;
    }
  }
  engine.recomputes = true;
  try {
    return await attempt(1);
  } catch (error) {
    throw isOutOfMemory(error) && !isRefusal(error) ? refusal(error) : error;
  } finally {
    engine.recomputes = false;
  }
}

/**
 * Does work of one batch for the indices below `count`, `most` of them at a time. An engine that recomputes, and has not the memory for so many, takes half as many.
 * @param work - Of the indices from `first` on, so many; does nothing that stays before it may fail.
 */
export async function inStretches(
  engine: Pick<EngineModel, "recomputes">,
  count: number,
  most: number,
  work: (first: number, length: number) => Promise<void>,
): Promise<void> {
  let together = most;
  for (let first = 0; first < count; ) {
    const length = Math.min(together, count - first);
    try {
      await work(first, length);
      first += length;
    } catch (error) {
      if (!isOutOfMemory(error) || !engine.recomputes || length === 1) throw error;
      together = Math.ceil(length / 2);
    }
  }
}

const where = "memory";

function isRefusal(error: BitwrightError): boolean {
  return error.where === where;
}

function refusal(cause: BitwrightError): BitwrightError {
  const { summary, expected } = cause;
  return new BitwrightError("out-of-memory", "one sample needs more memory than the engine may take", {
    where,
    ...(expected !== undefined && { expected }),
    received: summary,
    remedy: "Allow more with --memory, on a machine that has it, or take shorter samples.",
    cause,
  });
}
