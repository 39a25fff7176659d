import type { Format } from "../formats.js";
import { roundTo } from "../round-to.js";
import { elementCount } from "../tensor.js";
import type { ActivationSite, SensitivityContext, Site, WeightSite } from "./criterion.js";

/** What the formats of a site do to its tensor, in sums over elements. */
export interface Rounding {
  readonly elements: number;
  /** |t|^2 */
  readonly squares: number;
  /** |Q(t) - t|^2 of each format. */
  readonly errors: ReadonlyMap<Format, number>;
}

/** A candidate that rounds everything to zero, whose squared error is the tensor's own square. */
const zero = { scale: 1, zeroPoint: 0, qmin: 0, qmax: 0 };

/** Of an activation in the engine's last run, over all of its samples. */
export async function activationRounding(
  { engine }: Pick<SensitivityContext, "engine">,
  { tensor, quantizers }: ActivationSite,
): Promise<Rounding> {
  const value = engine.value(tensor);
  const grids = [...quantizers.values()].map(({ scales, zeroPoints, qmin, qmax }) => ({
    scale: scales[0]!,
    zeroPoint: zeroPoints[0]!,
    qmin,
    qmax,
  }));
  const sums = new Float64Array(grids.length + 1);
  await engine.graph.errors(value, [...grids, zero], sums);
  const { dims } = await engine.graph.shape(value);
  return {
    elements: elementCount(dims),
    squares: sums.at(-1)!,
    errors: new Map([...quantizers.keys()].map((format, i) => [format, sums[i]!])),
  };
}

/** Adds what batch after batch says of a site. */
export function addRounding(roundings: Map<string, Rounding>, { id }: Site, batch: Rounding): void {
  const known = roundings.get(id);
  roundings.set(
    id,
    known === undefined
      ? batch
      : {
          elements: known.elements + batch.elements,
          squares: known.squares + batch.squares,
          errors: new Map([...known.errors].map(([format, error]) => [format, error + batch.errors.get(format)!])),
        },
  );
}

/** Of a weight. */
export async function weightRounding(
  context: Pick<SensitivityContext, "backend" | "weight">,
  site: WeightSite,
): Promise<Rounding> {
  const { data } = context.weight(site);
  const errors = new Map<Format, number>();
  for (const format of site.quantizers.keys()) {
    errors.set(format, squareSum(await weightError(context, site, format)));
  }
  return { elements: data.length, squares: squareSum(data), errors };
}

/** Q(W) - W, shaped like the weight. */
export async function weightError(
  { backend, weight }: Pick<SensitivityContext, "backend" | "weight">,
  site: WeightSite,
  format: Format,
): Promise<Float32Array> {
  const { data, dims } = weight(site);
  const { values, quantizer } = site.alone(format).weights.find(({ initializer }) => initializer === site.tensor)!;
  const error = values?.slice() ?? (await roundTo(backend, data, dims, quantizer));
  for (let i = 0; i < error.length; i++) error[i]! -= data[i]!;
  return error;
}

function squareSum(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return sum;
}
