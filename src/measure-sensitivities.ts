import type { Analysis, Unfinished } from "./analysis.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";
import { sources } from "./sensitivity/interactions/index.js";
import type { SourceContext } from "./sensitivity/interactions/source.js";
import { type InteractionSource, type Interactions, noInteractions } from "./sensitivity/interactions.js";
import type { Workspace } from "./workspace.js";

export interface SensitivityOptions {
  readonly criteria: readonly CriterionName[];
  readonly interactions?: InteractionSource;
  readonly onPart?: ((analysis: Analysis) => Promise<void> | void) | undefined;
}

/** Computes what an analysis lacks of the interactions and criteria asked for, and hands the analysis on whenever it has grown. */
export async function measureSensitivities(
  { simulator }: Pick<Workspace, "simulator">,
  context: SourceContext,
  known: Analysis,
  { criteria: names, interactions: source = "none", onPart }: SensitivityOptions,
): Promise<Analysis> {
  let analysis = known;
  const save = async (part: Partial<Analysis>) => {
    analysis = { ...analysis, ...part };
    await onPart?.(analysis);
  };
  const keep = (part: Unfinished) => save({ unfinished: { ...analysis.unfinished, ...part } });
  /** What ran before may have left quantizers behind. */
  const restoreFloat = () => simulator.apply({ weights: [], biases: [], edges: [] });

  const found = new Map<InteractionSource, Interactions>([[known.interactions.source, known.interactions]]);
  const interactions = async (of: InteractionSource): Promise<Interactions> => {
    if (of === "none") return noInteractions;
    const shared = found.get(of);
    if (shared !== undefined) return shared;
    await restoreFloat();
    const start = performance.now();
    const fresh = await sources[of](context, {
      known: analysis.unfinished?.measured ?? [],
      onRows: (measured) => keep({ measured }),
    });
    found.set(of, fresh);
    analysis = { ...analysis, seconds: { ...analysis.seconds, [of]: secondsSince(start) } };
    return fresh;
  };

  if (source !== "none" && analysis.interactions.source !== source) {
    const { measured: _, ...unfinished } = analysis.unfinished ?? {};
    await save({ interactions: await interactions(source), unfinished });
  }
  for (const name of names) {
    if (analysis.criteria[name] !== undefined) continue;
    await restoreFloat();
    const start = performance.now();
    /** Time that was spent earlier on what this criterion is made of. */
    let earlier = 0;
    let meanSquaredLoss = analysis.meanSquaredLoss;
    const scores = await criteria[name].score({
      ...context,
      onMeanSquaredLoss: (value) => {
        meanSquaredLoss = value;
      },
      interactions: async (of) => {
        if (found.has(of)) earlier += analysis.seconds[of] ?? 0;
        return interactions(of);
      },
      known: analysis.unfinished?.criteria?.[name] ?? {},
      onScores: (partial) => keep({ criteria: { ...analysis.unfinished?.criteria, [name]: partial } }),
    });
    const { [name]: _, ...unfinished } = analysis.unfinished?.criteria ?? {};
    await save({
      criteria: { ...analysis.criteria, [name]: scores },
      ...(meanSquaredLoss !== undefined && { meanSquaredLoss }),
      seconds: { ...analysis.seconds, [name]: earlier + secondsSince(start) },
      unfinished: { ...analysis.unfinished, criteria: unfinished },
    });
  }
  return analysis;
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
