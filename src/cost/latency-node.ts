import { BitwrightError } from "../errors.js";
import type { ModelSource, SessionOptions } from "../export/session-node.js";
import { demand } from "../given.js";
import { type Control, Stage } from "../progress.js";
import { quantile } from "../quantile.js";
import type { Feeds } from "../tensor.js";
import { Turns } from "./turns-node.js";

export interface LatencyOptions extends SessionOptions, Control {
  /** Timed runs of each model; 50 by default. */
  readonly repeats?: number;
  /** Runs before those, which are not timed; 5 by default. */
  readonly warmup?: number;
}

/** Times of one model's runs, in milliseconds. */
export interface Latency {
  readonly name: string;
  readonly median: number;
  /** First and third quartile. */
  readonly quartiles: readonly [number, number];
  /** Median over the rounds of this model's time divided by the first model's: load of the machine, which hits both, cancels out. */
  readonly ratio: number;
}

/**
 * Times models against each other in one process: round after round, each runs once, starting from another one every round.
 * @param models - The first is the one that ratios refer to.
 * @throws BitwrightError `runtime-missing`, `aborted`.
 */
export async function measureLatency(
  models: readonly { readonly name: string; readonly model: ModelSource }[],
  feeds: Feeds,
  options: LatencyOptions = {},
): Promise<Latency[]> {
  demand("list", models, "models");
  demand("options", feeds, "feeds");
  demand("options", options);
  const { repeats = 50, warmup = 5 } = options;
  for (const [where, runs, least] of [
    ["repeats", repeats, 1],
    ["warmup", warmup, 0],
  ] as const) {
    if (Number.isSafeInteger(runs) && runs >= least) continue;
    const expected = `a whole number, ${least} or more`;
    throw new BitwrightError("invalid-option", "not a number of runs", { where, expected, received: `${runs}` });
  }
  const stage = new Stage(options, "measure", repeats + warmup);
  const times = models.map(() => new Float64Array(repeats));
  await using turns = await Turns.open(
    models.map(({ model }) => ({ model, feeds })),
    options,
  );
  for (let round = -warmup; round < repeats; round++) {
    const spent = await turns.round();
    if (round >= 0) for (const [i, time] of spent.entries()) times[i]![round] = time;
    stage.step();
  }
  return models.map(({ name }, i) => ({
    name,
    median: quantile(times[i]!, 0.5),
    quartiles: [quantile(times[i]!, 0.25), quantile(times[i]!, 0.75)],
    ratio: quantile(
      times[i]!.map((time, round) => time / times[0]![round]!),
      0.5,
    ),
  }));
}
