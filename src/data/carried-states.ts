import { BitwrightError } from "../errors.js";
import type { Feeds, Tensor } from "../tensor.js";
import type { Batch, Dataset } from "./dataset.js";
import type { Sample } from "./preprocess.js";
import { splitStates, stackStates } from "./states.js";

/** Carries a model's states from the outputs of one step to the inputs of the next, while it runs over the batches of a data set in their order. */
export class CarriedStates {
  readonly #states: Dataset["states"];
  /** By input and then by sequence. */
  readonly #held = new Map<string, Map<number, Sample>>();

  constructor({ states }: Pick<Dataset, "states">) {
    this.#states = states;
  }

  /** What a batch's feeds are with the states. First steps bring their own. */
  feedsOf({ feeds, sequences }: Batch): Feeds {
    const missing = this.#states.filter(({ name }) => feeds[name] === undefined);
    if (missing.length === 0) return feeds;
    const carried = missing.map(({ name, dtype, batchAxis }) => {
      const held = Array.from(sequences!, (sequence) => this.#held.get(name)?.get(sequence) ?? outOfOrder(name));
      return [name, stackStates(dtype, held, batchAxis, name)] as const;
    });
    return { ...feeds, ...Object.fromEntries(carried) };
  }

  /** Takes the states that a batch leaves. */
  take({ sequences }: Batch, outputs: Readonly<Record<string, Tensor>>): void {
    for (const { name, output, dtype, batchAxis } of this.#states) {
      const tensor = outputs[output];
      if (tensor?.dtype !== dtype || (batchAxis !== undefined && tensor.dims[batchAxis] !== sequences!.length)) {
        throw new BitwrightError("invalid-data", "an output is not the state that an input takes", {
          where: `output ${output}, input ${name}`,
          expected: `${dtype}, ${sequences!.length} sequences`,
          received: tensor === undefined ? "no such output" : `${tensor.dtype} [${tensor.dims.join(", ")}]`,
        });
      }
      const after = splitStates(tensor, batchAxis).map((state, i) => [sequences![i]!, state] as const);
      // Sequences that are not in the batch have ended: batches of others start with first steps.
      this.#held.set(name, new Map(after));
    }
  }
}

function outOfOrder(name: string): never {
  throw new BitwrightError("engine-failure", "a step came before the one that it follows", { where: `input ${name}` });
}
