import { intAttribute, removeAttribute, setAttribute, stringAttribute } from "../attributes.js";
import type { NodeProto } from "../generated/onnx_pb.js";
import type { Upgrade, UpgradeContext } from "./upgrade.js";

const batchNormalizationSpatial: Upgrade = {
  opTypes: ["BatchNormalization"],
  since: 9,
  convert: (node) => {
    if (intAttribute(node, "spatial", 1) !== 1)
      return { refused: "it normalizes each position on its own (spatial = 0)" };
    removeAttribute(node, "spatial");
    return true;
  },
};

/** Its further outputs were what training needs, and set it to train; from 14 on an attribute does. */
const batchNormalizationTraining: Upgrade = {
  opTypes: ["BatchNormalization"],
  since: 14,
  convert: (node, { isRead }) => {
    if (node.output.slice(1).some((name) => name !== "" && isRead(name))) return { refused: "it is in training mode" };
    if (node.output.length === 1) return undefined;
    node.output = node.output.slice(0, 1);
    return true;
  },
};

const scatter: Upgrade = {
  opTypes: ["Scatter"],
  since: 11,
  convert: (node) => {
    node.opType = "ScatterElements";
    return true;
  },
};

const scan: Upgrade = {
  opTypes: ["Scan"],
  since: 9,
  convert: () => ({ refused: "it scans a batch of sequences, which later operator sets do not" }),
};

/** The coordinates' half pixel became the default. */
const roiAlign: Upgrade = {
  opTypes: ["RoiAlign"],
  since: 16,
  convert: (node) => {
    setAttribute(node, "coordinate_transformation_mode", "output_half_pixel");
    return true;
  },
};

/** Without sizes a Split has to say into how many parts. */
const split: Upgrade = {
  opTypes: ["Split"],
  since: 18,
  convert: (node) => {
    if ((node.input[1] ?? "") !== "") return undefined;
    setAttribute(node, "num_outputs", BigInt(node.output.length));
    return true;
  },
};

const gridSample: Upgrade = {
  opTypes: ["GridSample"],
  since: 20,
  convert: (node) => {
    const names: Readonly<Record<string, string>> = { bilinear: "linear", bicubic: "cubic" };
    const mode = stringAttribute(node, "mode", "bilinear");
    setAttribute(node, "mode", names[mode] ?? mode);
    return true;
  },
};

/** Scale and bias were one value for each group, then one for each channel. */
const groupNormalization: Upgrade = {
  opTypes: ["GroupNormalization"],
  since: 21,
  convert: (node, context) => {
    const channels = context.type(node.input[0]!)?.dims?.[1];
    const groups = intAttribute(node, "num_groups", 0);
    if (typeof channels !== "number" || groups < 1 || channels % groups !== 0) {
      return { refused: "its number of channels is not known" };
    }
    return perChannel(node, 1, channels, context) ?? perChannel(node, 2, channels, context) ?? true;
  },
};

function perChannel(node: NodeProto, port: number, channels: number, { constant, store }: UpgradeContext) {
  const old = constant(node.input[port]!);
  if (old?.dtype !== "float32") return { refused: "its scale or bias is computed at run time" };
  const data = Float32Array.from(
    { length: channels },
    (_, c) => old.data[Math.floor((c * old.data.length) / channels)]!,
  );
  node.input[port] = store(`${node.input[port]}_channels`, { dtype: "float32", dims: [channels], data });
  return undefined;
}

/** Operators whose attributes, outputs or names changed. */
export const renewed: readonly Upgrade[] = [
  batchNormalizationSpatial,
  batchNormalizationTraining,
  scatter,
  scan,
  roiAlign,
  split,
  gridSample,
  groupNormalization,
];
