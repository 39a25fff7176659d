import type { Field } from "../data/field.js";
import type { Carried, LatencyBorder, LatencyCheck, LatencyModel, LatencyPart } from "./latency-model.js";

/** Kernels by layer and choice. */
type Kernels = LatencyModel["kernels"];

/**
 * Checks a saved latency model.
 * @throws BitwrightError `invalid-data` that names the field.
 */
export function parseLatencyModel(field: Field): LatencyModel {
  const names = ["profile", "floatMs", "accountedMs", "kernels", "parts", "borders", "checks"] as const;
  const { profile, floatMs, accountedMs, kernels: listed, parts, borders, checks } = field.object(names);
  const kernels = Object.fromEntries(
    listed
      .entries()
      .map(([layer, choices]) => [
        layer,
        Object.fromEntries(choices.entries().map(([choice, kernel]) => [choice, kernel.text()])),
      ]),
  );
  return {
    ...(profile.present && { profile: profile.text() }),
    floatMs: floatMs.number(),
    accountedMs: accountedMs.number(),
    kernels,
    parts: parts.list().map((part) => parsePart(part, kernels)),
    borders: borders.list().map((border) => parseBorder(border, kernels)),
    checks: checks.list().map(parseCheck),
  };
}

function parsePart(field: Field, kernels: Kernels): LatencyPart {
  const { layers: own, neighbours: others, floatMs, rows } = field.object(["layers", "neighbours", "floatMs", "rows"]);
  const layers = parseLayers(own, kernels);
  const neighbours = parseLayers(others, kernels);
  return {
    layers,
    neighbours,
    floatMs: floatMs.number(),
    rows: rows.list().map((row) => {
      const { kernels, carried, extraMs } = row.object(["kernels", "carried", "extraMs"]);
      return {
        kernels: entries(kernels, layers.length).map((kernel) => kernel.text()),
        carried: parseCarried(carried, neighbours.length),
        extraMs: extraMs.number(),
      };
    }),
  };
}

function parseBorder(field: Field, kernels: Kernels): LatencyBorder {
  const { tensors, neighbours: layers, floatMs, rows } = field.object(["tensors", "neighbours", "floatMs", "rows"]);
  const neighbours = parseLayers(layers, kernels);
  return {
    tensors: tensors.list().map((tensor) => tensor.text()),
    neighbours,
    floatMs: floatMs.number(),
    rows: rows.list().map((row) => {
      const { carried, extraMs } = row.object(["carried", "extraMs"]);
      return { carried: parseCarried(carried, neighbours.length), extraMs: extraMs.number() };
    }),
  };
}

function parseCheck(field: Field): LatencyCheck {
  const names = ["integerLayers", "measuredMs", "predictedMs"] as const;
  const { integerLayers, measuredMs, predictedMs } = field.object(names);
  return {
    integerLayers: integerLayers.integer(0),
    measuredMs: measuredMs.number(),
    predictedMs: predictedMs.number(),
  };
}

function parseCarried(field: Field, count: number): Carried[] {
  return entries(field, count).map((carried) => carried.choice(["float", "codes"]));
}

function parseLayers(field: Field, kernels: Kernels): string[] {
  return field.list().map((layer) => {
    const name = layer.text();
    return Object.hasOwn(kernels, name) ? name : layer.fail("a layer that the model's kernels are listed for");
  });
}

function entries(field: Field, count: number): Field[] {
  const list = field.list();
  return list.length === count ? list : field.fail(`${count} entries`);
}
