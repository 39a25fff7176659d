import { BitwrightError } from "../errors.js";
import { type DataType, elementCount, type Tensor } from "../tensor.js";
import { convertIntegers, isFloat, newArray } from "./convert.js";
import { type InputInfo, type InputReader, sameShape, stackSamples, tensor } from "./input.js";
import type { Sample } from "./preprocess.js";

/** An input that a model takes from its own output of the step before. */
export interface StateInfo extends InputInfo {
  /** The output. */
  readonly output: string;
}

/** What a model starts a sequence with. */
export interface StateSpec {
  readonly output: string;
  /** Shape of a fed tensor; null for the sequences of a batch, at most once. */
  readonly dims: readonly (number | null)[];
  /** One value for all elements, or those of one sequence in C order. */
  readonly initial: readonly number[];
  readonly dtype: DataType;
}

/** The state before a step by its sample's index; undefined where it is not known. */
export type KnownState = (index: number) => Sample | undefined;

/** Feeds the states before steps: the initial one, or those that are known. */
export interface StateReader extends InputReader, StateInfo {
  knowing(known: KnownState): StateReader;
}

/** @param isFirst whether a sample is the first step of its sequence. */
export function stateInput(
  name: string,
  spec: StateSpec,
  size: number,
  isFirst: (index: number) => boolean,
  where: string,
): StateReader {
  const { dtype, output, dims } = spec;
  const axis = dims.indexOf(null);
  const batchAxis = axis < 0 ? undefined : axis;
  const initial = initialState(spec, where);
  const reader = (known: KnownState): StateReader => ({
    name,
    dtype,
    output,
    dims,
    batchAxis,
    size,
    read: async (indices) => Array.from(indices, (index) => known(index) ?? unknown(name, index)),
    fits: sameShape,
    stack: (samples) => stackStates(dtype, samples, batchAxis, name),
    async *contents() {},
    knowing: reader,
  });
  return reader((index) => (isFirst(index) ? initial : undefined));
}

function unknown(name: string, index: number): never {
  throw new BitwrightError("engine-failure", "the state before a step is not known", {
    where: `input ${name}, sample ${index}`,
  });
}

function initialState({ dims, initial, dtype }: StateSpec, where: string): Sample {
  const own = dims.filter((dim) => dim !== null);
  const data = newArray(dtype, elementCount(own), where);
  const all = initial.length === data.length ? initial : new Array<number>(data.length).fill(initial[0]!);
  if (isFloat(dtype)) (data as Float32Array).set(all);
  else convertIntegers(Float64Array.from(all), data, undefined, dtype, where);
  return { dims: own, data };
}

/** States of several sequences as a model takes them; without a batch axis there can be but one. */
export function stackStates(
  dtype: DataType,
  states: readonly Sample[],
  batchAxis: number | undefined,
  name: string,
): Tensor {
  if (batchAxis !== undefined) {
    const odd = states.find((state) => !sameShape(state, states[0]!));
    if (odd === undefined) return stackSamples(dtype, states, batchAxis, name);
    throw oneAtATime(name, `[${states[0]!.dims.join(", ")}] and [${odd.dims.join(", ")}]`);
  }
  if (states.length > 1) throw oneAtATime(name, `${states.length} sequences, and no axis "N" for them`);
  return tensor(dtype, states[0]!.dims, states[0]!.data);
}

function oneAtATime(name: string, received: string): BitwrightError {
  return new BitwrightError("invalid-data", "the states of several sequences do not fit into one batch", {
    where: `input ${name}`,
    expected: 'states of one shape, and an axis "N" in their dims',
    received,
    remedy: "Take a batch size of 1.",
  });
}

/** The state of each sequence of a batch, from the tensor that a model takes or gives. */
export function splitStates({ dims, data }: Tensor, batchAxis: number | undefined): Sample[] {
  if (batchAxis === undefined) return [{ dims, data }];
  const count = dims[batchAxis]!;
  const outer = elementCount(dims.slice(0, batchAxis));
  const inner = elementCount(dims.slice(batchAxis + 1));
  const own = dims.toSpliced(batchAxis, 1);
  return Array.from({ length: count }, (_, i) => {
    const state = data.slice(0, outer * inner);
    for (let o = 0; o < outer; o++) {
      const from = (o * count + i) * inner;
      // The slice has the type of `data`, which the type system cannot follow.
      (state as Float32Array).set(data.subarray(from, from + inner) as Float32Array, o * inner);
    }
    return { dims: own, data: state };
  });
}
