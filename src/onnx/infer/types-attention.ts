import { intAttribute, intsAttribute } from "../attributes.js";
import { TensorProto_DataType as Code } from "../generated/onnx_pb.js";
import type { Dim, ValueType } from "../value-types.js";
import { broadcastDims } from "./dims.js";
import { type Operands, shaped, type TypeRule } from "./operands.js";

const same = shaped((op) => op.dims());

/** Of the inputs that have been given: the type of the first one, all shapes broadcast. */
const broadcast = shaped((op) => broadcastDims(op.inputs.map((facts) => facts?.dims)));

/** The last axis is as long as the values' heads together; keys and values may come with heads of their own. */
const attention: TypeRule = (op) => {
  const [query, value] = [op.dims(0), op.dims(2)];
  const result = (dims: readonly Dim[] | undefined): ValueType => ({ dataType: op.type(), dims });
  if (query === undefined || value === undefined) return [result(undefined)];
  const heads = intAttribute(op.node, "num_heads", undefined) ?? intAttribute(op.node, "q_num_heads", 0);
  const ofHead = value.length === 4 ? value[3] : headSize(value[2], intAttribute(op.node, "kv_num_heads", heads));
  if (query.length === 4) return [result([...query.slice(0, 3), ofHead])];
  return [result([query[0], query[1], typeof ofHead === "number" ? ofHead * heads : undefined])];
};

function headSize(width: Dim, heads: number): Dim {
  return typeof width === "number" && heads > 0 ? width / heads : undefined;
}

/** Packed queries come without keys: of the width, the share of the query heads. */
const groupQueryAttention: TypeRule = (op) => {
  const dims = op.dims();
  if (op.has(1) || dims?.length !== 3) return [{ dataType: op.type(), dims }];
  const [heads, shared] = [intAttribute(op.node, "num_heads", 0), intAttribute(op.node, "kv_num_heads", 0)];
  const width = headSize(dims[2], heads + 2 * shared);
  return [{ dataType: op.type(), dims: dims.with(2, typeof width === "number" ? width * heads : undefined) }];
};

const fusedAttention: TypeRule = (op) => {
  const [input, weight] = [op.dims(0), op.dims(1)];
  const sizes = intsAttribute(op.node, "qkv_hidden_sizes", undefined);
  const width = sizes?.[2] ?? headSize(weight?.[1], 3);
  return [{ dataType: op.type(), dims: input?.length === 3 ? [input[0], input[1], width] : undefined }];
};

const skipNormalization: TypeRule = (op) => {
  const result = { dataType: op.type(), dims: op.dims() };
  const open = { dataType: op.type(), dims: undefined };
  return [result, open, open, result];
};

const embedNormalization: TypeRule = (op) => {
  const [ids, words] = [op.dims(0), op.dims(2)];
  const result = { dataType: op.type(2), dims: ids && [...ids, words?.[1]] };
  return [result, { dataType: Code.INT32, dims: [ids?.[0]] }, result];
};

const fusedMatMul: TypeRule = (op) => {
  const matrices = (port: number, letter: string): Dim[] | undefined => {
    const dims = [...(op.dims(port) ?? [])];
    if (dims.length < 2) return undefined;
    if (intAttribute(op.node, `transBatch${letter}`, 0) !== 0) dims.splice(dims.length - 2, 0, ...dims.splice(0, 1));
    if (intAttribute(op.node, `trans${letter}`, 0) !== 0) dims.push(...dims.splice(-2, 1));
    return dims;
  };
  const [a, b] = [matrices(0, "A"), matrices(1, "B")];
  const batch = a && b && broadcastDims([a.slice(0, -2), b.slice(0, -2)]);
  return [{ dataType: op.type(), dims: batch && [...batch, a?.at(-2), b?.at(-1)] }];
};

/** Attention and rotary embedding of ONNX. */
export const attentionTypes: Readonly<Record<string, TypeRule>> = { Attention: attention, RotaryEmbedding: same };

/** Operators of onnxruntime's own domain, com.microsoft. */
export const microsoftTypes: Readonly<Record<string, TypeRule>> = {
  Attention: fusedAttention,
  MultiHeadAttention: (op: Operands) => (op.has(1) && op.has(2) ? attention(op) : []),
  GroupQueryAttention: groupQueryAttention,
  RotaryEmbedding: same,
  SkipLayerNormalization: skipNormalization,
  SkipSimplifiedLayerNormalization: skipNormalization,
  EmbedLayerNormalization: embedNormalization,
  Gelu: same,
  QuickGelu: same,
  FastGelu: same,
  BiasGelu: broadcast,
  FusedMatMul: fusedMatMul,
};
