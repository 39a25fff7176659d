import { decodeFloats } from "../base64.js";
import type { Format, LayerChoice } from "../formats.js";
import { smallestEigenvalue } from "../smallest-eigenvalue.js";
import { significantTerms } from "./interactions/significant-terms.js";
import { activationSites, weightSite } from "./site-ids.js";

/** Where second-order terms between choices come from; `sources` computes them. */
export const interactionSources = ["none", "measured", "hessian", "gauss-newton", "fisher"] as const;

export type InteractionSource = (typeof interactionSources)[number];

/** One site in one format. */
export interface SiteChoice {
  readonly site: string;
  readonly format: Format;
}

/**
 * The quadratic model of the loss: a configuration that takes the choices x (0 or 1 each) raises the mean loss by 1/2 x^T G x. The matrices are
 * symmetric, in the order of `choices`; positive semi-definite from `fisher` and `gauss-newton`, not in general from `hessian` and `measured`.
 */
export interface Interactions {
  readonly source: InteractionSource;
  readonly choices: readonly SiteChoice[];
  /**
   * e_i^T H e_j, a mean over samples, with e_i = Q(t_i) - t_i the change of choice i's own tensor. `measured`, from losses L of configurations:
   * L(i, j) - L(i) - L(j) off the diagonal, 2 L(i) on it, 0 between formats of one site.
   */
  readonly matrix: Matrix;
  /**
   * The same for what really happens to the model: a weight's e also holds the change of the bias that its rounding is corrected by. Absent where
   * no bias is, and from `measured`, whose configurations are corrected themselves.
   */
  readonly corrected?: Matrix;
  /** Of `fisher`: what the matrix that predicts was made of. They tell which of its terms between sites are more than sampling noise. */
  readonly projections?: StoredProjections;
}

export type Matrix = readonly (readonly number[])[];

/** u[probe][sample][choice]: float32, little endian, in base64. The matrix is the mean of u u^T over probes and samples. */
export interface StoredProjections {
  readonly probes: number;
  readonly samples: number;
  readonly data: string;
}

export const noInteractions: Interactions = { source: "none", choices: [], matrix: [] };

/** A predicted rise of the mean loss. */
export interface Prediction {
  readonly loss: number;
  /** Of the mean over samples and probes: how far it may be from that of all data. Known from projections of several samples. */
  readonly standardError?: number;
}

const predicting = new WeakMap<Interactions, Matrix>();

/**
 * The matrix that predicts: with corrections of biases where there are any, and without the terms between sites that cannot be told from sampling noise. From one
 * sample nothing can be told, and all terms stay.
 */
export function predictingMatrix(interactions: Interactions): Matrix {
  const known = predicting.get(interactions);
  if (known !== undefined) return known;
  const { matrix, corrected, choices, projections } = interactions;
  const estimated = corrected ?? matrix;
  const result =
    projections === undefined || projections.samples < 2 ? estimated : withoutNoise(estimated, projections, choices);
  predicting.set(interactions, result);
  return result;
}

function withoutNoise(matrix: Matrix, projections: StoredProjections, choices: readonly SiteChoice[]): Matrix {
  const { probes, samples } = projections;
  const sites = choices.map(({ site }) => site);
  const significant = significantTerms({ u: projectionsOf(projections), probes, samples }, sites);
  const kept = matrix.map((row, i) =>
    row.map((term, j) => (significant[Math.max(i, j)]![Math.min(i, j)] === 1 ? term : 0)),
  );
  const scale = definiteScale(kept, sites);
  return scale === 1 ? kept : kept.map((row, i) => row.map((term, j) => (sites[i] === sites[j] ? term : scale * term)));
}

/**
 * What is left of the terms of single sites in the configuration whose terms between sites cancel them most. A search finds that one, and terms that stand out are
 * the larger of what they are and what noise makes of them.
 */
const leastLeft = 0.5;

/**
 * By how much terms between sites have to be scaled down so that no configuration is predicted to cost nothing, or less: all terms together are positive
 * semi-definite, but some of them alone need not be.
 */
function definiteScale(matrix: Matrix, sites: readonly string[]): number {
  const roots = matrix.map((row, i) => Math.sqrt(row[i]!));
  const normed = matrix.map((row, i) =>
    Float64Array.from(row, (term, j) => (sites[i] === sites[j] || term === 0 ? 0 : term / (roots[i]! * roots[j]!))),
  );
  if (normed.every((row) => row.every((term) => term === 0))) return 1;
  return Math.min(1, (1 - leastLeft) / Math.max(0, -smallestEigenvalue(normed)));
}

/** The indices of the choices that a configuration takes; layers that are not in it stay float. */
export function chosenIndices(
  { choices }: Interactions,
  configuration: Iterable<readonly [node: string, choice: LayerChoice]>,
): number[] {
  const taken = new Set<string>();
  for (const [node, { weight, activation }] of configuration) {
    taken.add(choiceKeyOf({ site: weightSite(node), format: weight }));
    for (const site of activationSites(node)) taken.add(choiceKeyOf({ site, format: activation }));
  }
  return choices.flatMap((choice, i) => (taken.has(choiceKeyOf(choice)) ? [i] : []));
}

/** 1/2 x^T G x for the configuration of these choices. */
export function predictLoss(interactions: Interactions, chosen: readonly number[]): Prediction {
  const matrix = predictingMatrix(interactions);
  let sum = 0;
  for (const i of chosen) for (const j of chosen) sum += matrix[i]![j]!;
  const standardError = errorOfMean(interactions, chosen);
  return { loss: sum / 2, ...(standardError !== undefined && { standardError }) };
}

/** Samples are independent, their probes' quadratic forms 1/2 (u.x)^2 are averaged first. */
function errorOfMean(interactions: Interactions, chosen: readonly number[]): number | undefined {
  const { projections, choices } = interactions;
  if (projections === undefined || projections.samples < 2) return undefined;
  const { probes, samples } = projections;
  const u = projectionsOf(projections);
  const forms = new Float64Array(samples);
  for (let row = 0; row < probes * samples; row++) {
    let dot = 0;
    for (const i of chosen) dot += u[row * choices.length + i]!;
    forms[row % samples]! += (dot * dot) / (2 * probes);
  }
  const mean = forms.reduce((sum, form) => sum + form, 0) / samples;
  const variance = forms.reduce((sum, form) => sum + (form - mean) ** 2, 0) / (samples - 1);
  return Math.sqrt(variance / samples);
}

const decoded = new WeakMap<StoredProjections, Float32Array>();

function projectionsOf(projections: StoredProjections): Float32Array {
  const known = decoded.get(projections) ?? decodeFloats(projections.data);
  decoded.set(projections, known);
  return known;
}

function choiceKeyOf({ site, format }: SiteChoice): string {
  return `${format} ${site}`;
}
