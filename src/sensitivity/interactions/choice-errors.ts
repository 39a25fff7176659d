import type { TensorError } from "../../backend/graph-types.js";
import type { BiasLayout, WeightLayout } from "../../export/layout.js";
import { roundTo } from "../../round-to.js";
import { elementCount } from "../../tensor.js";
import { type Choice, choicesOf } from "./choices.js";
import type { SourceContext } from "./source.js";

/** What every choice does to the model, as errors that the engine can project on. */
export interface ChoiceErrors {
  readonly choices: readonly Choice[];
  /** Errors of one choice add up: a weight's own and that of the bias which its rounding is corrected by. */
  readonly errors: readonly TensorError[];
  /** What the engine holds of each: a weight's whole; an activation's are made of the run that there is. */
  readonly bytes: readonly number[];
  /** Index of the choice that each error belongs to. */
  readonly owners: readonly number[];
  /** Whether each error is a bias's. */
  readonly corrections: readonly boolean[];
}

/**
 * Errors e of all choices. A weight's is Q(W) - W with the site's quantizer, in the cleaned model, where BatchNormalization is part of the weights. Its
 * correction is the bias that goes with it less the model's own. An activation's is Q(a) - a of each sample, which the engine takes from its run.
 */
export function choiceErrors(context: SourceContext): ChoiceErrors {
  const { engine, sites } = context;
  const choices = choicesOf(sites);
  const errors: TensorError[] = [];
  const bytes: number[] = [];
  const owners: number[] = [];
  const corrections: boolean[] = [];
  const declare = (owner: number, error: TensorError, size: number, correction: boolean) => {
    errors.push(error);
    bytes.push(size);
    owners.push(owner);
    corrections.push(correction);
  };
  const declared = new Set<string>();
  for (const [owner, { site, format }] of choices.entries()) {
    const { weights, biases, edges } = site.alone(format);
    for (const override of [...weights, ...biases]) {
      // Layers that share a tensor take their formats together, and it changes once.
      const key = `${format} ${override.initializer}`;
      if (declared.has(key)) continue;
      declared.add(key);
      const value = engine.value(override.initializer);
      const { dims } = context.constant(override.initializer);
      declare(
        owner,
        { value, data: () => changeOf(context, override) },
        4 * elementCount(dims),
        override.initializer !== site.tensor,
      );
    }
    for (const { node, port, quantizer } of edges) {
      if (node === undefined) continue;
      const { scales, zeroPoints, qmin, qmax } = quantizer;
      const grid = { scale: scales[0]!, zeroPoint: zeroPoints[0]!, qmin, qmax };
      declare(owner, { node: engine.node(node), port, grid }, 0, false);
    }
  }
  return { choices, errors, bytes, owners, corrections };
}

/** By how much an override differs from what the model stores. */
async function changeOf(
  { backend, constant }: SourceContext,
  override: WeightLayout | BiasLayout,
): Promise<Float32Array> {
  const { initializer, quantizer } = override;
  const { data, dims } = constant(initializer);
  const exact = override.values ?? data;
  const values = quantizer === undefined ? exact : await roundTo(backend, exact, dims, quantizer);
  const change = new Float32Array(data.length);
  for (let i = 0; i < change.length; i++) change[i] = values[i]! - data[i]!;
  return change;
}
