import type { Dataset } from "../data/dataset.js";
import type { EngineModel } from "../evaluate/engine-model.js";
import { type Control, Stage } from "../progress.js";
import type { TensorOf } from "../tensor.js";
import type { InputVectors, LayerRows } from "./layer-rows.js";

/** Moments of the vectors x that the rows of a weight are multiplied with, for each group. */
export interface Moments {
  /** Vectors that the means are over. */
  readonly count: number;
  /** E[x x^T], width x width, C order, on and below the diagonal. */
  readonly products: readonly Float64Array[];
  /** E[x] */
  readonly means: readonly Float64Array[];
}

/** A tensor that is multiplied by a weight whose moments are wanted. */
export interface MomentRequest {
  /** Requests of one key are one mean. */
  readonly key: string;
  readonly tensor: string;
  readonly rows: LayerRows;
}

export interface MomentOptions extends Control {
  readonly engine: EngineModel;
  readonly dataset: Dataset;
  readonly samples: Uint32Array;
  readonly batchSize: number;
  readonly seed: number;
}

/** Vectors that each mean is over, all samples together: so many for each of their elements, and not fewer than so many. */
const vectorsPerElement = 4;
const fewestVectors = 1024;

/**
 * Second moments of the inputs of layers by their requests' keys, over some positions of every sample: evenly spread, each at a random place of its
 * stretch. Positions depend on the seed and the sample alone, and sums run in double in the order of the samples, so batches and threads
 * do not change the result.
 */
export async function measureMoments(
  requests: readonly MomentRequest[],
  options: MomentOptions,
): Promise<Map<string, Moments>> {
  const { engine, dataset, samples, batchSize, seed, signal } = options;
  const tensors = [...new Set(requests.map(({ tensor }) => tensor))];
  const sums = new Map(requests.map(({ key, rows }) => [key, new MomentSum(rows)]));
  const stage = new Stage(options, "second moments", samples.length);
  for await (const batch of dataset.batches(samples, batchSize, { signal })) {
    await engine.run(batch.feeds, { values: tensors, signal });
    for (const name of tensors) {
      const { data, dims } = (await engine.read(name)) as TensorOf<"float32">;
      for (const { key, tensor, rows } of requests) {
        if (tensor !== name) continue;
        const vectors = rows.inputs(dims);
        const wanted = Math.ceil(Math.max(fewestVectors, vectorsPerElement * rows.width) / samples.length);
        for (const [i, sample] of batch.indices.entries()) {
          for (const position of spread(vectors.positions, wanted, seed, sample)) {
            sums.get(key)!.add(vectors, data, i, position);
          }
        }
      }
    }
    stage.step(undefined, batch.indices.length);
  }
  return new Map([...sums].map(([key, sum]) => [key, sum.result()]));
}

/** E[(x - E[x]) (x - E[x])^T] of a group, on and below the diagonal. */
export function centred({ products, means }: Moments, group: number): Float64Array {
  const mean = means[group]!;
  const width = mean.length;
  const product = products[group]!.slice();
  for (let i = 0; i < width; i++) {
    for (let j = 0; j <= i; j++) product[i * width + j]! -= mean[i]! * mean[j]!;
  }
  return product;
}

/** Vectors whose products are summed at once. */
const blockSize = 64;

class MomentSum {
  readonly #rows: LayerRows;
  /** A block of vectors for each group, element by element: those of one element lie side by side. */
  readonly #blocks: Float64Array[];
  readonly #products: Float64Array[];
  readonly #means: Float64Array[];
  #inBlock = 0;
  #count = 0;

  constructor(rows: LayerRows) {
    const { groups, width } = rows;
    const perGroup = (length: number) => Array.from({ length: groups }, () => new Float64Array(length));
    this.#rows = rows;
    // Products are summed for two elements at once; the last of an odd number pairs with zeros.
    this.#blocks = perGroup((width + (width % 2)) * blockSize);
    this.#products = perGroup(width * width);
    this.#means = perGroup(width);
  }

  add(vectors: InputVectors, data: Float32Array, sample: number, position: number): void {
    for (const [group, block] of this.#blocks.entries()) {
      vectors.copy(data, { sample, position, group }, block, this.#inBlock, blockSize);
    }
    this.#inBlock++;
    if (this.#inBlock === blockSize) this.#sumBlocks();
  }

  result(): Moments {
    this.#sumBlocks();
    const mean = (sum: Float64Array) => sum.map((value) => value / this.#count);
    return { count: this.#count, products: this.#products.map(mean), means: this.#means.map(mean) };
  }

  #sumBlocks(): void {
    for (const [group, block] of this.#blocks.entries()) {
      addProducts(block, this.#inBlock, this.#rows.width, this.#products[group]!);
      addSums(block, this.#inBlock, this.#means[group]!);
    }
    this.#count += this.#inBlock;
    this.#inBlock = 0;
  }
}

/** Adds sum x x^T, two by two elements at a time so that each is read half as often. */
function addProducts(block: Float64Array, count: number, width: number, products: Float64Array): void {
  for (let i = 0; i < width; i += 2) {
    const hasNext = i + 1 < width;
    for (let j = 0; j <= i; j += 2) {
      const a = i * blockSize;
      const c = j * blockSize;
      let ac = 0;
      let ad = 0;
      let bc = 0;
      let bd = 0;
      for (let v = 0; v < count; v++) {
        const xa = block[a + v]!;
        const xb = block[a + blockSize + v]!;
        const xc = block[c + v]!;
        const xd = block[c + blockSize + v]!;
        ac += xa * xc;
        ad += xa * xd;
        bc += xb * xc;
        bd += xb * xd;
      }
      products[i * width + j]! += ac;
      if (j < i) products[i * width + j + 1]! += ad;
      if (!hasNext) continue;
      products[(i + 1) * width + j]! += bc;
      products[(i + 1) * width + j + 1]! += bd;
    }
  }
}

function addSums(block: Float64Array, count: number, sums: Float64Array): void {
  for (let i = 0; i < sums.length; i++) {
    for (let v = 0; v < count; v++) sums[i]! += block[i * blockSize + v]!;
  }
}

/** `wanted` of the numbers below `count`, one from each of as many equal stretches; all of them when there are no more. */
function spread(count: number, wanted: number, seed: number, stream: number): number[] {
  if (count <= wanted) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: wanted }, (_, i) => Math.floor(((i + unitHash(seed, stream, i)) * count) / wanted));
}

/** A number in [0, 1) that depends on its arguments alone (the finalizer of MurmurHash3). */
function unitHash(seed: number, stream: number, index: number): number {
  let h = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}
