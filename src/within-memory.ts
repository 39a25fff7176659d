import { BitwrightError } from "./errors.js";

/** Whether the engine refused to hold more than it may. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof BitwrightError && error.code === "out-of-memory";
}

/**
 * Does some work in batches of so many samples, or of half as many whenever the engine may not hold what a batch needs. Results do not depend on batches, and
 * what is too large is refused at the first one, so little is done twice.
 * @throws BitwrightError `out-of-memory` when one sample alone is too much.
 */
export async function withinMemory<T>(batchSize: number, work: (batchSize: number) => Promise<T>): Promise<T> {
  for (let size = batchSize; ; size = Math.floor(size / 2)) {
    try {
      return await work(size);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      if (size <= 1) throw tooLittle(error as BitwrightError);
    }
  }
}

function tooLittle(cause: BitwrightError): BitwrightError {
  return new BitwrightError("out-of-memory", "one sample at a time needs more memory than the engine may take", {
    where: "memory",
    received: cause.summary,
    remedy: "Allow more with --memory, on a machine that has it, or take shorter samples.",
    cause,
  });
}
