import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BitwrightError } from "./errors.js";
import type { OnnxModel } from "./onnx/model.js";
import { type WriteFileOptions, writeModelFile } from "./onnx/model-node.js";
import type { Limits } from "./options.js";
import type { Control } from "./progress.js";
import { lower } from "./search/levels.js";
import type { Assignment } from "./search/problem.js";
import { restorations } from "./search/restore.js";
import { fewestUndone } from "./search/undo.js";
import type { SearchOutcome } from "./search-plan.js";
import { type Inspection, type Judgement, Verifier } from "./verify-node.js";
import type { Workspace } from "./workspace.js";

/** A configuration as a file, and what became of its verification. */
export interface Written {
  readonly assignment: Assignment;
  readonly exported: OnnxModel;
  readonly verified: Verification | Unverified;
  /** Lowerings taken back because an earlier file failed. */
  readonly undone: number;
}

export type Verification = Judgement & Inspection;

export interface Unverified {
  readonly unverified: string;
}

export interface VerifyOptions extends Control {
  readonly limits: Limits;
  /** False leaves the file unverified. */
  readonly verify: boolean;
  /** How files are written. */
  readonly like: WriteFileOptions;
}

/**
 * Exports the found configuration and verifies the file. While it fails, the lowerings that promise the most harm are taken back; what went back to float
 * is then stored as narrowly again as the file allows.
 * @param path - The float model.
 */
export async function writeVerified(
  workspace: Workspace,
  outcome: SearchOutcome,
  path: string,
  options: VerifyOptions,
): Promise<Written> {
  const { groups, result } = outcome;
  const float = groups.map(() => 0);
  const { lowered } = result;
  if (!options.verify) {
    const assignment = lower(float, lowered);
    const exported = outcome.exported(assignment);
    return { assignment, undone: 0, exported, verified: { unverified: "verification was not asked for" } };
  }
  const folder = await mkdtemp(join(tmpdir(), "bitwright-"));
  try {
    const candidates = new Candidates(workspace, outcome, path, folder, options);
    const without = (undone: number) => lower(float, lowered.slice(0, lowered.length - undone));
    const undone = await fewestUndone(lowered.length, (count) => candidates.hold(without(count)));
    let assignment: Assignment = without(undone);
    if (undone > 0) {
      for (const { lowerings } of restorations(groups, assignment, lower(float, lowered))) {
        const from = assignment;
        const some = (left: number) => lower(from, lowerings.slice(0, lowerings.length - left));
        assignment = some(await fewestUndone(lowerings.length, (left) => candidates.hold(some(left))));
      }
    }
    return { assignment, undone, ...(await candidates.finish(assignment)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Exported configurations with their judgements; none is made twice. */
class Candidates {
  readonly #workspace: Workspace;
  readonly #outcome: SearchOutcome;
  readonly #verifier: Verifier;
  readonly #folder: string;
  readonly #options: VerifyOptions;
  readonly #judged = new Map<string, { readonly file: string; readonly judgement: Judgement | Unverified }>();

  constructor(workspace: Workspace, outcome: SearchOutcome, path: string, folder: string, options: VerifyOptions) {
    const { dataset, divergence } = workspace;
    const { batchSize } = workspace.options;
    this.#workspace = workspace;
    this.#outcome = outcome;
    this.#folder = folder;
    this.#options = options;
    this.#verifier = new Verifier(path, dataset, { divergence, limits: options.limits, batchSize });
  }

  /** Whether a configuration's file is inside the band, or cannot be judged. */
  async hold(assignment: Assignment): Promise<boolean> {
    const { judgement } = await this.#judge(assignment);
    return "unverified" in judgement || judgement.withinBand;
  }

  async finish(assignment: Assignment): Promise<Pick<Written, "exported" | "verified">> {
    const exported = this.#outcome.exported(assignment);
    const { file, judgement } = await this.#judge(assignment);
    if ("unverified" in judgement) return { exported, verified: judgement };
    const inspection = await this.#ifPossible(() =>
      this.#verifier.inspect(this.#workspace.model, this.#outcome.layout(assignment), file, this.#options),
    );
    return { exported, verified: "unverified" in inspection ? inspection : { ...judgement, ...inspection } };
  }

  async #judge(assignment: Assignment) {
    const key = assignment.join();
    const known = this.#judged.get(key);
    if (known !== undefined) return known;
    const file = join(this.#folder, `${this.#judged.size}.onnx`);
    const exported = this.#outcome.exported(assignment);
    await writeModelFile(exported, file, this.#options.like);
    const judgement = await this.#ifPossible(() => this.#verifier.judge(file, this.#options));
    const judged = { file, judgement };
    this.#judged.set(key, judged);
    return judged;
  }

  /** A user who stops the work, or has no onnxruntime-node, gets the file that the engine's own evaluation stands for. */
  async #ifPossible<T>(verify: () => Promise<T>): Promise<T | Unverified> {
    try {
      return await verify();
    } catch (error) {
      if (this.#options.signal?.aborted) return { unverified: "the work was stopped before" };
      if (error instanceof BitwrightError && error.code === "runtime-missing") {
        return { unverified: `${error.summary}. ${error.remedy}` };
      }
      throw error;
    }
  }
}
