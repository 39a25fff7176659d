// The criterion's estimates of every layer's Hessian trace against the exact traces.
import { EngineModel } from "../../dist/evaluate/engine-model.js";
import { estimateTraces } from "../../dist/sensitivity/traces.js";

/**
 * (estimate - exact) / standard error, for each seed and site: weights first, then activations. Seeds are far apart, for the criterion
 * counts up from its seed.
 */
export async function traceErrors(
  { model, dataset, samples, weights, edges },
  exact,
  { backend, threads, probes, seeds, probing },
) {
  const engine = await EngineModel.create(backend, model, { threads });
  const site = (kind) => (port) => ({ id: `${port.node}/${kind}`, kind, ...port });
  const sites = [...weights.map(site("weight")), ...edges.map(site("activation"))];
  const errors = [];
  for (let run = 0; run < seeds; run++) {
    const context = {
      ...{ engine, dataset, probes, batchSize: 8, probing, loss: "cross-entropy", seed: 1000 * run },
      samples: Uint32Array.from(samples),
    };
    const traces = await estimateTraces(context, sites, { stage: "traces" });
    errors.push(sites.map(({ id }, i) => (traces.get(id).mean - exact[i]) / traces.get(id).standardError));
  }
  await engine.dispose();
  return errors;
}

/** Of the errors of all seeds and sites; the standard error of n probes is that of Student's t with n - 1 degrees of freedom. */
export function summary(errors) {
  const all = errors.flat();
  const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  return { largest: Math.max(...all.map(Math.abs)), mean: mean(all), rms: Math.sqrt(mean(all.map((x) => x * x))) };
}
