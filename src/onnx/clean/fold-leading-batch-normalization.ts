import { elementCount } from "../../tensor.js";
import { intAttribute, intsAttribute, stringAttribute } from "../attributes.js";
import { batchNormalization } from "./channel-affine.js";
import { nodePass } from "./pass.js";
import { bypass, floatConstant, replaceConstant } from "./rewire.js";

/**
 * Folds a BatchNormalization into the convolution behind it. Only without padding: the zeros that padding adds come after the
 * shift, so that with padding the borders would differ.
 */
export const foldLeadingBatchNormalization = nodePass(
  "fold-leading-batch-normalization",
  ["BatchNormalization"],
  (node, { graph }) => {
    const use = graph.soleUse(node.output[0]!);
    const conv = use?.node;
    if (conv?.opType !== "Conv" || use?.port !== 0) return undefined;
    const pads = intsAttribute(conv, "pads", []);
    if (pads.some((pad) => pad !== 0) || stringAttribute(conv, "auto_pad", "NOTSET").startsWith("SAME_"))
      return undefined;
    const affine = batchNormalization(graph, node);
    const weight = graph.constant(conv.input[1]!);
    const hasBias = (conv.input[2] ?? "") !== "";
    const oldBias = floatConstant(graph, conv, 2);
    if (affine === undefined || weight?.dtype !== "float32" || (hasBias && oldBias === undefined)) return undefined;

    const [outputs, perGroup] = [weight.dims[0]!, weight.dims[1]!];
    const group = intAttribute(conv, "group", 1);
    if (perGroup * group !== affine.factor.length) return undefined;
    const run = elementCount(weight.dims.slice(2));
    const { data: old } = weight;
    const data = new Float32Array(old.length);
    const bias = Float64Array.from({ length: outputs }, (_, output) => oldBias?.[output] ?? 0);
    for (let i = 0; i < data.length; i++) {
      const row = Math.floor(i / run);
      const output = Math.floor(row / perGroup);
      const channel = Math.floor((output * group) / outputs) * perGroup + (row % perGroup);
      data[i] = old[i]! * affine.factor[channel]!;
      bias[output]! += old[i]! * affine.offset[channel]!;
    }
    if (!bypass(graph, node)) return undefined;
    replaceConstant(graph, conv, 1, `${conv.name}_weight`, { ...weight, data });
    const rounded = { dtype: "float32", dims: [outputs], data: Float32Array.from(bias) } as const;
    replaceConstant(graph, conv, 2, `${conv.name}_bias`, rounded);
    return {
      nodes: [node.name, conv.name],
      explanation: `folded into the weight and bias of Conv ${conv.name} behind it`,
    };
  },
);
