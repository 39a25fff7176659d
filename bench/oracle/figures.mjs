// The engine's figures for a job, and how far they are from others.
import { EngineModel } from "../../dist/evaluate/engine-model.js";
import { kinksOf } from "./job.mjs";

/**
 * losses[sample]; gradients[parameter]; together: v^T H v and H v of every weight, H v along all weights at once; for jobs of each layer also
 * joint: v^T H v of every site, weights first and then edges, H v along all of them at once; alone: the same along one site at a time, with H v
 * of each weight. Sums over samples. kinks: the arguments of nodes whose derivative jumps.
 */
export async function engineFigures(job, backend, options) {
  const { model, feeds, labels, parameters, weights, edges, directions, eachLayer } = job;
  const engine = await EngineModel.create(backend, model, options);
  const { graph } = engine;
  const sites = [
    ...weights.map(({ tensor }) => ({ weights: [engine.value(tensor)], edges: [] })),
    ...edges.map(({ node, port }) => ({ weights: [], edges: [{ node: engine.node(node), port }] })),
  ];
  const formsAlong = async (indices, products) => {
    const part = indices.map((i) => sites[i]);
    await graph.setSites({ weights: part.flatMap((s) => s.weights), edges: part.flatMap((s) => s.edges), probes: 1 });
    for (const [place, i] of indices.entries()) await graph.setDirection(place, 0, directions[i]);
    const { forms, samples } = await graph.hessian({ products });
    return indices.map((_, i) => sum(Array.from({ length: samples }, (_, n) => forms[n * indices.length + i])));
  };
  const product = (i) => graph.readProduct(sites[i].weights[0], 0);

  await engine.run(feeds, { keep: true });
  const kinks = await kinksOf(engine, model);
  const losses = await graph.loss({ kind: "cross-entropy", value: engine.value(engine.outputs[0]), target: labels });
  await graph.gradient(parameters.map((tensor) => engine.value(tensor)));
  const gradients = [];
  for (const tensor of parameters) gradients.push(await graph.readWeightGradient(engine.value(tensor)));

  const together = { forms: await formsAlong([...weights.keys()], true), products: [] };
  for (const i of weights.keys()) together.products.push(await product(i));
  const figures = { losses: [...losses], gradients, together, kinks };
  if (eachLayer) {
    figures.joint = await formsAlong([...sites.keys()], false);
    figures.alone = { forms: [], products: [] };
    for (const i of sites.keys()) {
      figures.alone.forms.push(...(await formsAlong([i], i < weights.length)));
      if (i < weights.length) figures.alone.products.push(await product(i));
    }
  }
  await engine.dispose();
  return figures;
}

/**
 * Relative differences |found - expected|_2 / |expected|_2: of numbers; of the vector of all sites' v^T H v, because H v along several sites can leave
 * single ones next to nothing; elsewhere that of the worst tensor, with its name.
 */
export function compare(found, expected, { parameters, weights, edges }) {
  const weightNames = weights.map(({ tensor }) => tensor);
  const edgeNames = edges.map(({ node }) => `input of ${node}`);
  const rows = [];
  const row = (figure, pick, names) => rows.push({ figure, ...worst(pick(found), pick(expected), names) });
  row("loss", ({ losses }) => [[sum(losses)]], [""]);
  row("gradients", ({ gradients }) => gradients, parameters);
  row("v'Hv, all weights", ({ together }) => [[sum(together.forms)]], [""]);
  row("v'Hv by weight", ({ together }) => [together.forms], [""]);
  row("Hv", ({ together }) => together.products, weightNames);
  if (found.alone !== undefined && expected.alone !== undefined) {
    const forms = ({ alone }) => alone.forms.map((form) => [form]);
    row("v'Hv by weight and input", ({ joint }) => [joint], [""]);
    row("v'Hv, each weight alone", (figures) => forms(figures).slice(0, weights.length), weightNames);
    row("Hv, each weight alone", ({ alone }) => alone.products, weightNames);
    row("v'Hv, each input alone", (figures) => forms(figures).slice(weights.length), edgeNames);
  }
  return rows;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

function worst(found, expected, names) {
  let result = { difference: 0, where: "" };
  for (const [i, where] of names.entries()) {
    let error = 0;
    let size = 0;
    for (let j = 0; j < expected[i].length; j++) {
      error += (found[i][j] - expected[i][j]) ** 2;
      size += expected[i][j] ** 2;
    }
    const difference = error === 0 ? 0 : Math.sqrt(error / size);
    // Written so that NaN is the worst.
    if (!(difference <= result.difference)) result = { difference, where };
  }
  return result;
}
