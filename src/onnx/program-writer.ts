const encoder = new TextEncoder();

/** Writes a program's fields in order. Without a target it only measures, so that a program takes a single allocation. */
export class ProgramWriter {
  readonly #target: Uint8Array | undefined;
  readonly #view: DataView | undefined;
  #length = 0;

  /** @param target - zeroed memory of the measured length. */
  constructor(target?: Uint8Array) {
    this.#target = target;
    if (target !== undefined) this.#view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  }

  /** Bytes written, or measured, so far. */
  get length(): number {
    return this.#length;
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view?.setUint32(at, value, true);
  }

  i32(value: number): void {
    const at = this.#take(4);
    this.#view?.setInt32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#take(8);
    this.#view?.setBigUint64(at, value, true);
  }

  i64(value: bigint): void {
    const at = this.#take(8);
    this.#view?.setBigInt64(at, value, true);
  }

  f32(value: number): void {
    const at = this.#take(4);
    this.#view?.setFloat32(at, value, true);
  }

  /** A `str`: length, bytes, padding. */
  text(value: string): void {
    this.bytes(encoder.encode(value));
  }

  /** A `str` given by its bytes. */
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
    this.pad(4);
  }

  raw(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#target?.set(value, at);
  }

  /** Leaves zeros up to the next multiple of `alignment` from the start of the buffer. */
  pad(alignment: number): void {
    this.#take((alignment - (this.#length % alignment)) % alignment);
  }

  #take(size: number): number {
    const at = this.#length;
    this.#length += size;
    return at;
  }
}
