import type { Inspection } from "../inspect.js";
import { describeUndecided } from "../undecided-branches.js";
import { columns } from "./columns.js";
import { describeKept } from "./kept.js";
import { restrictions } from "./restrictions.js";
import { bytes, count, plural } from "./units.js";

/** An inspection for a terminal. */
export function textInspection({
  bytes: size,
  opset,
  inputs,
  outputs,
  ops,
  layers,
  keptFloat,
  passedOver,
  macs,
  unsupported,
  undecided,
  changes,
}: Inspection): string {
  const port = ({ name, dims }: Inspection["inputs"][number]) =>
    `${name} [${dims?.map((dim) => dim ?? "?").join(", ") ?? "?"}]`;
  const rows = layers.map((layer) => [
    layer.node,
    layer.op,
    layer.dims.join("x"),
    bytes(layer.bytes),
    layer.macs === null ? "?" : count(layer.macs),
    layer.choices.join(" "),
  ]);
  const passes = new Map<string, number>();
  for (const { pass } of changes) passes.set(pass, (passes.get(pass) ?? 0) + 1);
  // Layers of a group share a weight.
  const stored = new Map(layers.map((layer) => [layer.group, layer.bytes]));
  const weights = [...stored.values()].reduce((sum, own) => sum + own, 0);
  return [
    `${bytes(size)}, opset ${opset}; ${inputs.map(port).join(", ")} -> ${outputs.map(port).join(", ")}`,
    `operators: ${ops.map(({ op, count }) => `${op} ${count}`).join(", ")}`,
    `clean-up: ${[...passes].map(([pass, times]) => `${pass} ${times}`).join(", ") || "nothing to do"}`,
    "",
    ...columns([["layer", "op", "weight", "bytes", "MACs", "choices (weight/activation)"], ...rows]),
    "",
    `${plural(layers.length, "layer")}, ${bytes(weights)} of weights, ${macs === null ? "MACs depend on open sizes (--size)" : `${count(macs)} MACs a sample`}`,
    ...describeKept(keptFloat),
    ...passedOver.map(({ op, nodes, reason }) => `${plural(nodes.length, `${op} node`)} stay float: ${reason}`),
    ...(unsupported.length === 0
      ? ["the engine supports every operator"]
      : ["the engine lacks:", ...unsupported.map(({ op, nodes }) => `  ${op}: ${nodes.join(", ")}`)]),
    ...undecided.map(describeUndecided),
    ...restrictions(changes).map((restriction) => `a quantized file ${restriction}`),
  ].join("\n");
}
