import { CarriedStates } from "../data/carried-states.js";
import type { Dataset } from "../data/dataset.js";
import type { Sample } from "../data/preprocess.js";
import { splitStates } from "../data/states.js";
import { type Control, Stage } from "../progress.js";
import type { EngineModel } from "./engine-model.js";

export interface FloatStatesOptions extends Control {
  readonly engine: EngineModel;
  readonly dataset: Dataset;
  /** Steps whose states are wanted. */
  readonly samples: ArrayLike<number>;
  readonly batchSize: number;
}

/**
 * The data set with the float model's own states before its steps, so that each step can be looked at by itself: for calibration and sensitivities. The
 * engine, which has to hold the float model, runs once through every sequence that is wanted; the states stay in memory.
 */
export async function withFloatStates(options: FloatStatesOptions): Promise<Dataset> {
  const { engine, dataset, batchSize, signal } = options;
  const { states, sequences } = dataset;
  if (states.length === 0 || sequences === undefined) return dataset;
  const steps = upTo(options.samples, sequences);
  const stage = new Stage(options, "float states", steps.length);
  const before = new Map(states.map(({ name }) => [name, new Map<number, Sample>()]));
  const carried = new CarriedStates(dataset);
  for await (const batch of dataset.batches(steps, batchSize, { signal })) {
    const feeds = carried.feedsOf(batch);
    for (const { name, batchAxis } of states) {
      for (const [i, state] of splitStates(feeds[name]!, batchAxis).entries()) {
        before.get(name)!.set(batch.indices[i]!, state);
      }
    }
    await engine.run(feeds, { signal });
    carried.take(batch, await engine.readOutputs());
    stage.step(undefined, batch.indices.length);
  }
  return dataset.withStates(
    new Map([...before].map(([name, known]) => [name, (index: number) => known.get(index)] as const)),
  );
}

/** The steps of each sequence up to the last that is wanted. */
function upTo(samples: ArrayLike<number>, { of, starts }: NonNullable<Dataset["sequences"]>): number[] {
  const last = new Map<number, number>();
  for (const index of Array.from(samples)) last.set(of[index]!, Math.max(last.get(of[index]!) ?? 0, index));
  return [...last]
    .sort(([a], [b]) => a - b)
    .flatMap(([sequence, end]) =>
      Array.from({ length: end + 1 - starts[sequence]! }, (_, step) => starts[sequence]! + step),
    );
}
