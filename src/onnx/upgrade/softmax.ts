import { intAttribute, setAttribute } from "../attributes.js";
import { makeNode } from "../node.js";
import type { Upgrade } from "./upgrade.js";

/**
 * Before operator set 13 these normalized over all axes from `axis` (1 when absent) to the last one; from 13 on over one axis, the
 * last one when absent. Where the old range was more than one axis, the tensor is made a matrix and back.
 */
export const softmax: readonly Upgrade[] = [
  {
    opTypes: ["Softmax", "LogSoftmax", "Hardmax"],
    since: 13,
    convert: (node, { type, uniqueName }) => {
      const axis = intAttribute(node, "axis", 1);
      const input = node.input[0]!;
      const rank = type(input)?.dims?.length;
      if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
        setAttribute(node, "axis", -1n);
        return true;
      }
      const result = node.output[0]!;
      const [shape, matrix, normalized] = ["shape", "matrix", "normalized"].map((what) =>
        uniqueName(`${result}_${what}`),
      );
      const part = (opType: string, inputs: string[], output: string, flattenAxis?: number) =>
        makeNode({
          opType,
          name: uniqueName(`${node.name}_${opType.toLowerCase()}`),
          inputs,
          outputs: [output],
          ...(flattenAxis === undefined ? {} : { attributes: { axis: BigInt(flattenAxis) } }),
        });
      node.input[0] = matrix!;
      node.output[0] = normalized!;
      setAttribute(node, "axis", -1n);
      return [
        part("Shape", [input], shape!),
        part("Flatten", [input], matrix!, axis),
        node,
        part("Reshape", [normalized!, shape!], result),
      ];
    },
  },
];
