import { BitwrightError } from "../errors.js";
import type { Dataset } from "./dataset.js";
import type { InputInfo } from "./input.js";

/** An input that a model declares. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: string;
  /** A size, or anything else for one that is free; undefined when not even the rank is declared. */
  readonly dims: readonly (number | string | null | undefined)[] | undefined;
}

/**
 * Checks that a data set feeds exactly the inputs of a model, with the types and sizes it declares.
 * @returns the batch size that the model's shapes demand, undefined when it is free.
 * @throws BitwrightError `invalid-data` with every input that does not fit.
 */
export function checkAgainstModel(dataset: Pick<Dataset, "inputs">, inputs: readonly ModelInput[]): number | undefined {
  const fed = new Map(dataset.inputs.map((input) => [input.name, input]));
  const declared = new Set(inputs.map(({ name }) => name));
  const problems = [
    ...inputs.flatMap((input) => mismatches(input, fed.get(input.name))),
    ...[...fed.keys()].filter((name) => !declared.has(name)).map((name) => `${name}: the model has no such input`),
  ];
  const batchSizes = new Set(
    inputs.map((input) => fixedBatch(input, fed.get(input.name))).filter((n) => n !== undefined),
  );
  if (batchSizes.size > 1) problems.push(`the inputs demand different batch sizes: ${[...batchSizes].join(", ")}`);
  if (problems.length === 0) return [...batchSizes][0];
  throw new BitwrightError("invalid-data", `the data set does not fit the model\n  ${problems.join("\n  ")}`, {
    remedy: "Correct the inputs of the manifest.",
  });
}

function mismatches({ name, dtype, dims }: ModelInput, fed: InputInfo | undefined): string[] {
  if (fed === undefined) return [`${name}: the data set has no such input`];
  const problems: string[] = [];
  if (fed.dtype !== dtype) problems.push(`${name}: expected ${dtype}, received ${fed.dtype}; set "dtype"`);
  const fits = dims?.every((dim, axis) => !isFixed(dim) || fed.dims[axis] === null || fed.dims[axis] === dim);
  if (dims !== undefined && (dims.length !== fed.dims.length || !fits)) {
    problems.push(`${name}: expected shape ${describe(dims)}, received ${describe(fed.dims)}; see "layout"`);
  }
  return problems;
}

function fixedBatch({ dims }: ModelInput, fed: InputInfo | undefined): number | undefined {
  const dim = fed?.batchAxis === undefined ? undefined : dims?.[fed.batchAxis];
  return isFixed(dim) ? dim : undefined;
}

function isFixed(dim: number | string | null | undefined): dim is number {
  return typeof dim === "number" && dim > 0;
}

function describe(dims: readonly (number | string | null | undefined)[]): string {
  return `[${dims.map((dim) => dim ?? "?").join(", ")}]`;
}
