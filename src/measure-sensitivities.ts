import type { Analysis } from "./analysis.js";
import { AnalysisInProgress } from "./analysis-in-progress.js";
import { type CriterionName, criteria } from "./sensitivity/index.js";
import { sources } from "./sensitivity/interactions/index.js";
import type { SourceContext } from "./sensitivity/interactions/source.js";
import { type InteractionSource, type Interactions, noInteractions } from "./sensitivity/interactions.js";
import { withinMemory } from "./within-memory.js";
import type { Workspace } from "./workspace.js";

export interface SensitivityOptions {
  readonly criteria: readonly CriterionName[];
  readonly interactions?: InteractionSource;
  readonly onPart?: ((analysis: Analysis) => Promise<void> | void) | undefined;
}

/** Interactions with the time that they took. */
interface Timed {
  readonly interactions: Interactions;
  readonly seconds: number;
}

/**
 * Computes what an analysis lacks of the interactions and criteria asked for, and hands the analysis on whenever it has grown. Criteria that are made of
 * interactions share them, whether they are saved or not.
 */
export async function measureSensitivities(
  { simulator }: Pick<Workspace, "simulator">,
  context: SourceContext,
  known: Analysis,
  { criteria: names, interactions: source = "none", onPart }: SensitivityOptions,
): Promise<Analysis> {
  const progress = new AnalysisInProgress(known, onPart);
  /** What ran before may have left quantizers behind. */
  const restoreFloat = () => simulator.apply({ weights: [], biases: [], edges: [] });
  const { interactions: saved } = known;
  const found = new Map<InteractionSource, Timed>([
    ["none", { interactions: noInteractions, seconds: 0 }],
    [saved.source, { interactions: saved, seconds: known.seconds[saved.source] ?? 0 }],
  ]);
  const compute = async (of: InteractionSource): Promise<Timed> => {
    const shared = found.get(of);
    if (shared !== undefined || of === "none") return shared!;
    await restoreFloat();
    const start = performance.now();
    const interactions = await withinMemory(context.engine, context.batchSize, (batchSize) =>
      sources[of](
        { ...context, batchSize },
        { known: progress.analysis.unfinished?.measured ?? [], onRows: (rows) => progress.keepRows(rows) },
      ),
    );
    const timed = { interactions, seconds: secondsSince(start) };
    found.set(of, timed);
    return timed;
  };

  if (source !== "none" && saved.source !== source) {
    const { interactions, seconds } = await compute(source);
    await progress.finishInteractions(interactions, seconds);
  }
  for (const name of names) {
    if (progress.analysis.criteria[name] !== undefined) continue;
    await restoreFloat();
    const start = performance.now();
    /** What this criterion is made of and was there before. */
    let shared = 0;
    const more: { meanSquaredLoss?: number } = {};
    const scores = await withinMemory(context.engine, context.batchSize, (batchSize) =>
      criteria[name].score({
        ...context,
        batchSize,
        interactions: async (of) => {
          shared += found.get(of)?.seconds ?? 0;
          return (await compute(of)).interactions;
        },
        known: progress.analysis.unfinished?.criteria?.[name] ?? {},
        onScores: (scores) => progress.keepScores(name, scores),
        onMeanSquaredLoss: (value) => {
          more.meanSquaredLoss = value;
        },
      }),
    );
    await progress.finishCriterion(name, scores, shared + secondsSince(start), more);
  }
  return progress.analysis;
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
