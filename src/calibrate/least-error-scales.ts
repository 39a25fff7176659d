import type { Analysis } from "../analysis.js";
import type { Backend } from "../backend/backend.js";
import { searchScale } from "../backend/kernels.js";
import { BitwrightError } from "../errors.js";
import { hasWeight, type WeightedLayer } from "../export/layers.js";
import { hasReducedRange, type PlannedLayer } from "../export/targets/target.js";
import { codeLimit, takesScales, type WeightScales } from "../export/weight-quantizer.js";
import type { TensorOf } from "../tensor.js";

/**
 * argmin over scales of sum (Q(w) - w)^2, channel by channel, for every weight and format that the layers may take; searched once and kept.
 * @param known - Weights that it holds rounded have their scales there, and are left out.
 * @returns Scales; BitwrightError `invalid-option` is thrown where those that were left out are asked for.
 * @throws BitwrightError `invalid-model` for a weight that is not finite.
 */
export async function leastErrorScales(
  backend: Backend,
  layers: readonly PlannedLayer[],
  weight: (initializer: string) => TensorOf<"float32">,
  known?: Pick<Analysis, "roundedWeights" | "reducesRange">,
): Promise<WeightScales> {
  const found = new Map<string, Float32Array>();
  for (const layer of layers.filter(hasWeight)) {
    const { initializer, channelAxis } = layer.weight;
    const limits = limitsOf(layer, known);
    if (limits.size === 0 && known?.roundedWeights[initializer] !== undefined) continue;
    const { data, dims } = weight(initializer);
    checkFinite(data, initializer);
    for (const limit of limits) {
      const granularity = { kind: "channel", axis: channelAxis } as const;
      const spec = { bits: 8, signed: true, symmetric: true, granularity, qmin: -limit, qmax: limit };
      const { scales } = await searchScale(backend, data, dims, spec, { kind: "mse" });
      found.set(`${limit} ${initializer}`, scales);
    }
  }
  return ({ layer, limit }) => {
    const { initializer } = layer.weight;
    const scales = found.get(`${limit} ${initializer}`);
    if (scales !== undefined) return scales;
    throw new BitwrightError("invalid-option", "the workspace has no scales for a weight", {
      where: `initializer "${initializer}"`,
      remedy: "Open it with the analysis that is used with it, or without one to analyze anew",
    });
  };
}

/** The code limits that scales are wanted for. Whether integer kernels saturate may not be known yet. */
function limitsOf(
  layer: PlannedLayer & WeightedLayer,
  known: Pick<Analysis, "roundedWeights" | "reducesRange"> | undefined,
): Set<number> {
  const rounded = known?.roundedWeights[layer.weight.initializer];
  const formats = layer.choices.map(({ weight }) => weight).filter((format) => format !== "float");
  const searched = formats.filter(takesScales).filter((format) => rounded?.[format] === undefined);
  const reductions = known === undefined ? [false, true] : [known.reducesRange];
  return new Set(
    searched.flatMap((format) =>
      reductions.map((reduced) => codeLimit(format, reduced && hasReducedRange(layer, format))),
    ),
  );
}

function checkFinite(data: Float32Array, initializer: string): void {
  let odd = 0;
  while (odd < data.length && Number.isFinite(data[odd]!)) odd++;
  if (odd === data.length) return;
  throw new BitwrightError("invalid-model", "a weight is not finite", {
    where: `initializer "${initializer}"`,
    expected: "finite numbers",
    received: `${data[odd]} at element ${odd}`,
    remedy: "The training of this model broke down, or its file is damaged",
  });
}
