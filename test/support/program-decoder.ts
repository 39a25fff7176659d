/** Reads a program (src/onnx/program.ts) back, field by field, as its description says. */
export interface DecodedTensor {
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Where the data starts in the program. */
  readonly offset: number;
  readonly data: Uint8Array;
}

export type DecodedAttribute = number | string | readonly number[] | readonly string[] | DecodedTensor | undefined;

export interface DecodedProgram {
  readonly opsets: Record<string, number>;
  readonly values: { name: string; flags: number; dataType: number; dims: number[] | undefined }[];
  readonly nodes: {
    name: string;
    domain: string;
    opType: string;
    inputs: number[];
    outputs: number[];
    attributes: Record<string, { kind: number; value: DecodedAttribute }>;
  }[];
  readonly initializers: ({ value: number } & DecodedTensor)[];
}

export function decodeProgram(program: Uint8Array): DecodedProgram {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let at = 0;
  const step = (size: number) => {
    const start = at;
    at += size;
    return start;
  };
  const pad = (alignment: number) => {
    for (; at % alignment !== 0; at++) if (program[at] !== 0) throw new Error(`padding at ${at} is not zero`);
  };
  const u32 = () => view.getUint32(step(4), true);
  const i32 = () => view.getInt32(step(4), true);
  const i64 = () => Number(view.getBigInt64(step(8), true));
  const f32 = () => view.getFloat32(step(4), true);
  const raw = (size: number) => program.subarray(step(size), at);
  const list = <T>(read: () => T, count = u32()) => Array.from({ length: count }, read);
  const text = () => {
    const value = new TextDecoder().decode(raw(u32()));
    pad(4);
    return value;
  };
  const tensor = (alignment: number): DecodedTensor => {
    const dataType = u32();
    const dims = list(i64);
    const size = i64();
    pad(alignment);
    const offset = at;
    const data = raw(size);
    pad(4);
    return { dataType, dims, offset, data };
  };
  const readers: Record<number, () => DecodedAttribute> = {
    1: i64,
    2: f32,
    3: text,
    4: () => list(i64),
    5: () => list(f32),
    6: () => list(text),
    7: () => tensor(8),
    8: () => undefined,
  };
  const attribute = () => {
    const name = text();
    const kind = u32();
    return [name, { kind, value: readers[kind]!() }] as const;
  };

  if (u32() !== 0x50575742 || u32() !== 2) throw new Error("not a program of version 2");
  const decoded: DecodedProgram = {
    opsets: Object.fromEntries(list(() => [text(), i64()])),
    values: list(() => {
      const [name, flags, dataType, rank] = [text(), u32(), u32(), i32()];
      return { name, flags, dataType, dims: rank < 0 ? undefined : list(i64, rank) };
    }),
    nodes: list(() => ({
      name: text(),
      domain: text(),
      opType: text(),
      inputs: list(i32),
      outputs: list(i32),
      attributes: Object.fromEntries(list(attribute)),
    })),
    initializers: list(() => ({ value: u32(), ...tensor(64) })),
  };
  if (at !== program.length) throw new Error(`${program.length - at} bytes follow the program`);
  return decoded;
}
