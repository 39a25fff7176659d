import type { SessionOptions } from "../export/session-node.js";
import { quantile } from "../quantile.js";
import { type Contestant, Turns } from "./turns-node.js";

export interface SteadyOptions extends SessionOptions {
  /** Timing ends when the standard error of every difference is below so many milliseconds, or so large a share of the time itself. */
  readonly precisionMs: number;
  readonly relativePrecision: number;
  readonly signal?: AbortSignal | undefined;
}

/** Times of models that took turns, in milliseconds. */
export interface SteadyTime {
  readonly ms: number;
  /** Beyond the first model's. */
  readonly extraMs: number;
}

const rounds = { warmup: 3, least: 12, most: 60 };

/** On a machine that is busy with something else precision is out of reach; this is enough for short models on one that is not. */
const mostMs = 1500;

/**
 * Times models against each other until the differences to the first one are steady. Load of the machine only ever adds to a time, so a time is the
 * first decile of its rounds.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export async function steadyTimes(contestants: readonly Contestant[], options: SteadyOptions): Promise<SteadyTime[]> {
  const times = contestants.map((): number[] => []);
  await using turns = await Turns.open(contestants, options);
  for (let i = 0; i < rounds.warmup; i++) await turns.round(options.signal);
  const end = performance.now() + mostMs;
  for (let round = 1; round <= rounds.most; round++) {
    for (const [i, ms] of (await turns.round(options.signal)).entries()) times[i]!.push(ms);
    if (round < rounds.least) continue;
    if (performance.now() > end || times.every((own) => isSteady(own, options))) break;
  }
  const reference = typical(times[0]!);
  return times.map((own) => ({ ms: typical(own), extraMs: typical(own) - reference }));
}

function typical(times: readonly number[]): number {
  return quantile(times, 0.1);
}

/** About the standard error of a first decile, from how far the median lies above it. */
function isSteady(times: readonly number[], { precisionMs, relativePrecision }: SteadyOptions): boolean {
  const spread = quantile(times, 0.5) - typical(times);
  return spread / Math.sqrt(times.length) <= Math.max(precisionMs, relativePrecision * typical(times));
}
