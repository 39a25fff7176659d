import { type DataType, elementCount } from "../../tensor.js";
import { intAttribute } from "../attributes.js";
import { exactHolder } from "../data-types.js";
import { broadcastStrides, type Content, type Element, readStrided } from "./content.js";
import type { ContentRule } from "./contents.js";
import { normalizeAxes } from "./dims.js";
import type { Operands } from "./operands.js";

/** Bits of each integer type; whether it has a sign. */
const integerTypes: Partial<Record<DataType, { bits: number; signed: boolean }>> = {
  int64: { bits: 64, signed: true },
  int32: { bits: 32, signed: true },
  int16: { bits: 16, signed: true },
  int8: { bits: 8, signed: true },
  uint16: { bits: 16, signed: false },
  uint8: { bits: 8, signed: false },
};

/** How one operator combines elements. A part that is absent leaves the operator to the run. */
interface Binary {
  readonly integer?: (a: bigint, b: bigint) => bigint | undefined;
  /** On doubles: for these operators rounding their result to float32 is the float32 result. */
  readonly float?: (a: number, b: number) => number;
  /** The right operand that leaves the left one as it is, whatever size that stands for. */
  readonly neutral?: number;
  readonly commutes?: boolean;
}

const binary: Readonly<Record<string, Binary>> = {
  Add: { integer: (a, b) => a + b, float: (a, b) => a + b, neutral: 0, commutes: true },
  Sub: { integer: (a, b) => a - b, float: (a, b) => a - b, neutral: 0 },
  Mul: { integer: (a, b) => a * b, float: (a, b) => a * b, neutral: 1, commutes: true },
  Div: { integer: (a, b) => (b === 0n ? undefined : a / b), float: (a, b) => a / b, neutral: 1 },
};

function combine(rule: Binary, dtype: DataType, a: Element, b: Element): Element {
  if (typeof a === "string" && rule.neutral !== undefined && isNumber(b) && Number(b) === rule.neutral) return a;
  if (typeof b === "string" && rule.commutes && isNumber(a) && Number(a) === rule.neutral) return b;
  if (!isNumber(a) || !isNumber(b)) return undefined;
  const type = integerTypes[dtype];
  if (type !== undefined) {
    const result = rule.integer?.(BigInt(a), BigInt(b));
    return result === undefined ? undefined : wrap(result, dtype);
  }
  return rule.float && isFloat(dtype) ? roundTo(dtype, rule.float(Number(a), Number(b))) : undefined;
}

/** An integer result as its type stores it, overflow included. */
function wrap(value: bigint, dtype: DataType): bigint | number {
  const { bits, signed } = integerTypes[dtype]!;
  const stored = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  return dtype === "int64" ? stored : Number(stored);
}

function roundTo(dtype: DataType, value: number): number {
  return dtype === "float32" ? Math.fround(value) : value;
}

function isFloat(dtype: DataType): boolean {
  return dtype === "float32" || dtype === "float64";
}

function isNumber(element: Element): element is number | bigint {
  return typeof element === "number" || typeof element === "bigint";
}

/** The elements of two operands as if they were broadcast to `dims`; undefined when one is not known or their types differ. */
function operandPair(op: Operands, dims: readonly number[], ports: readonly [number, number] = [0, 1]) {
  const [a, b] = ports.map((port) => op.inputs[port]?.content);
  if (a === undefined || b === undefined || a.dtype !== b.dtype) return undefined;
  const [left, right] = [broadcastTo(a, dims), broadcastTo(b, dims)];
  return left === undefined || right === undefined ? undefined : { dtype: a.dtype, left, right };
}

function broadcastTo({ data, dims: from }: Content, dims: readonly number[]): ArrayLike<Element> | undefined {
  return data.length === elementCount(dims) ? data : readStrided(data, dims, broadcastStrides(from, dims));
}

function binaryRule(rule: Binary): ContentRule {
  return (op, dims) => {
    const pair = operandPair(op, dims);
    return pair && Array.from(pair.left, (a, i) => combine(rule, pair.dtype, a, pair.right[i]));
  };
}

function compareRule(
  holds: (a: number | bigint, b: number | bigint) => boolean,
  whenNamed?: (b: number) => Element,
): ContentRule {
  return (op, dims) => {
    const pair = operandPair(op, dims);
    return (
      pair &&
      Array.from(pair.left, (a, i): Element => {
        const b = pair.right[i];
        if (isNumber(a) && isNumber(b)) return holds(a, b) ? 1 : 0;
        return typeof a === "string" && isNumber(b) ? whenNamed?.(Number(b)) : undefined;
      })
    );
  };
}

function unaryRule(rule: { integer?: (a: bigint) => bigint; float?: (a: number) => number }): ContentRule {
  return (op) => {
    const content = op.inputs[0]?.content;
    if (content === undefined) return undefined;
    const { dtype, data } = content;
    return Array.from(data, (a): Element => {
      if (!isNumber(a)) return undefined;
      if (integerTypes[dtype] !== undefined) return rule.integer && wrap(rule.integer(BigInt(a)), dtype);
      return rule.float && isFloat(dtype) ? roundTo(dtype, rule.float(Number(a))) : undefined;
    });
  };
}

const cast: ContentRule = (op) => {
  const content = op.inputs[0]?.content;
  const to = exactHolder(intAttribute(op.node, "to", 0));
  if (content === undefined || to === undefined) return undefined;
  return Array.from(content.data, (element) => castElement(element, to));
};

function castElement(element: Element, to: DataType): Element {
  // The name of a size stays one in the types that hold any size.
  if (!isNumber(element))
    return typeof element === "string" && (to === "int64" || to === "int32") ? element : undefined;
  if (to === "bool") return Number(element) === 0 ? 0 : 1;
  if (integerTypes[to] !== undefined) {
    // What a value beyond the type becomes depends on the machine.
    const whole =
      typeof element === "bigint" ? element : Number.isFinite(element) ? BigInt(Math.trunc(element)) : undefined;
    if (whole === undefined) return undefined;
    const wrapped = wrap(whole, to);
    return BigInt(wrapped) === whole || typeof element === "bigint" ? wrapped : undefined;
  }
  // A wide integer would be rounded twice on its way through a double.
  if (typeof element === "bigint" && !Number.isSafeInteger(Number(element))) return undefined;
  return roundTo(to, Number(element));
}

const where: ContentRule = (op, dims) => {
  const condition = op.inputs[0]?.content;
  const chosen = condition && broadcastTo(condition, dims);
  const pair = operandPair(op, dims, [1, 2]);
  if (chosen === undefined || pair === undefined) return undefined;
  return Array.from(chosen, (takesLeft, i) => {
    const [a, b] = [pair.left[i], pair.right[i]];
    if (!isNumber(takesLeft)) return a === b ? a : undefined;
    return Number(takesLeft) === 0 ? b : a;
  });
};

/** The product over a vector: how some exporters count elements. */
const reduceProduct: ContentRule = (op) => {
  const content = op.inputs[0]?.content;
  const axes = op.parameters(1, "axes");
  if (content?.dims.length !== 1 || axes === undefined || integerTypes[content.dtype] === undefined) return undefined;
  if (axes !== "absent" && normalizeAxes(axes, 1)?.length !== 1) return undefined;
  const one: Element = content.dtype === "int64" ? 1n : 1;
  return [
    Array.from(content.data).reduce((product, element) => combine(binary.Mul!, content.dtype, product, element), one),
  ];
};

/** Operators on elements that shape arithmetic uses; only those whose results are the same on every machine. */
export const arithmetic: Readonly<Record<string, ContentRule>> = {
  ...Object.fromEntries(Object.entries(binary).map(([opType, rule]) => [opType, binaryRule(rule)])),
  // No size is negative, so that a name never equals a negative number.
  Equal: compareRule(
    (a, b) => a === b,
    (b) => (b < 0 ? 0 : undefined),
  ),
  Less: compareRule((a, b) => a < b),
  LessOrEqual: compareRule((a, b) => a <= b),
  Greater: compareRule((a, b) => a > b),
  GreaterOrEqual: compareRule((a, b) => a >= b),
  And: compareRule((a, b) => a === 1 && b === 1),
  Or: compareRule((a, b) => a === 1 || b === 1),
  Not: (op) => {
    const content = op.inputs[0]?.content;
    return content && Array.from(content.data, (a) => (isNumber(a) ? (Number(a) === 0 ? 1 : 0) : undefined));
  },
  Neg: unaryRule({ integer: (a) => -a, float: (a) => -a }),
  Abs: unaryRule({ integer: (a) => (a < 0n ? -a : a), float: Math.abs }),
  Sqrt: unaryRule({ float: Math.sqrt }),
  Floor: unaryRule({ float: Math.floor }),
  Ceil: unaryRule({ float: Math.ceil }),
  Cast: cast,
  Where: where,
  ReduceProd: reduceProduct,
};
