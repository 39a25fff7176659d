import type { Field } from "../data/field.js";
import type { BorderRow, LatencyBorder, LatencyModel, LatencyPart } from "./latency-model.js";

/** Kernels by layer and choice. */
type Kernels = LatencyModel["kernels"];

/**
 * Checks a saved latency model.
 * @throws BitwrightError `invalid-data` that names the field.
 */
export function parseLatencyModel(field: Field): LatencyModel {
  const names = ["floatMs", "fixedMs", "kernels", "parts", "borders"] as const;
  const { floatMs, fixedMs, kernels: listed, parts, borders } = field.object(names);
  const kernels = Object.fromEntries(
    listed
      .entries()
      .map(([layer, choices]) => [
        layer,
        Object.fromEntries(choices.entries().map(([choice, kernel]) => [choice, kernel.text()])),
      ]),
  );
  return {
    floatMs: floatMs.number(),
    fixedMs: fixedMs.number(),
    kernels,
    parts: parts.list().map((part) => parsePart(part, kernels)),
    borders: borders.list().map((border) => parseBorder(border, kernels)),
  };
}

function parsePart(field: Field, kernels: Kernels): LatencyPart {
  const { layers: listed, floatMs, rows } = field.object(["layers", "floatMs", "rows"]);
  const layers = parseLayers(listed, kernels);
  return {
    layers,
    floatMs: floatMs.number(),
    rows: rows.list().map((row) => {
      const { kernels: own, extraMs } = row.object(["kernels", "extraMs"]);
      return { kernels: entries(own, layers.length).map((kernel) => kernel.text()), extraMs: extraMs.number() };
    }),
  };
}

function parseBorder(field: Field, kernels: Kernels): LatencyBorder {
  const { tensors, sides: listed, floatMs, rows } = field.object(["tensors", "sides", "floatMs", "rows"]);
  const sides = listed.list().map((side) => parseLayers(side, kernels));
  return {
    tensors: tensors.list().map((tensor) => tensor.text()),
    sides,
    floatMs: floatMs.number(),
    rows: rows.list().map((row): BorderRow => {
      const { carried, extraMs } = row.object(["carried", "extraMs"]);
      return {
        carried: entries(carried, sides.length).map((side) => side.choice(["float", "codes"] as const)),
        extraMs: extraMs.number(),
      };
    }),
  };
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
