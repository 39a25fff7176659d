import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { BitwrightError } from "../errors.js";
import { chunkBytes } from "../io-node.js";
import type { LazyBytes } from "./lazy-bytes.js";

/** What a file was when it was first looked at. */
export interface FileState {
  readonly path: string;
  readonly length: number;
  /** Differs when the file was written to or replaced. */
  readonly stamp: string;
}

/**
 * Looks at a regular file. Pipes and devices are refused: they may have no end, and opening a pipe would wait for a writer.
 * @throws BitwrightError `io`.
 */
export function fileState(path: string): FileState {
  return withFile(path, (_, state) => state);
}

/** A stretch of a file as it was when it was looked at; read synchronously, as it is wanted in the middle of computations. */
export class FileBytes implements LazyBytes {
  readonly length: number;
  readonly #file: FileState;
  readonly #start: number;

  constructor(file: FileState, begin: number, end: number) {
    this.#file = file;
    this.#start = begin;
    this.length = end - begin;
  }

  read(begin = 0, end = this.length): Uint8Array {
    const whole = begin === 0 && end === this.length;
    const known = whole ? recent.get(this) : undefined;
    if (known !== undefined) return known;
    const bytes = readBytes(this.#file, this.#start + begin, end - begin);
    if (whole) recent.keep(this, bytes);
    return bytes;
  }
}

function readBytes(file: FileState, position: number, length: number): Uint8Array {
  return withFile(file.path, (descriptor, now) => {
    if (now.stamp !== file.stamp) throw changed(file.path);
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const count = readSync(descriptor, bytes, filled, Math.min(chunkBytes, length - filled), position + filled);
      if (count === 0) throw changed(file.path);
      filled += count;
    }
    return bytes;
  });
}

function changed(path: string): BitwrightError {
  return new BitwrightError("io", "the file changed while it was in use", {
    where: path,
    remedy: "Start again, and leave the model's files alone until the work has ended.",
  });
}

/** Opened for each use: it takes microseconds, and nothing has to be closed in the end. */
function withFile<T>(path: string, use: (descriptor: number, state: FileState) => T): T {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const info = fstatSync(descriptor);
      if (!info.isFile()) throw new BitwrightError("io", "not a regular file", { where: path });
      const stamp = `${info.dev} ${info.ino} ${info.size} ${info.mtimeMs}`;
      return use(descriptor, { path, length: info.size, stamp });
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BitwrightError("io", `the file could not be read: ${reason}`, { where: path, cause });
  }
}

/** What was read last, up to so many bytes: a stage asks for the same weight several times in a row. */
class Recent {
  readonly #most: number;
  readonly #entries = new Map<LazyBytes, Uint8Array>();
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get(source: LazyBytes): Uint8Array | undefined {
    const bytes = this.#entries.get(source);
    if (bytes !== undefined) {
      this.#entries.delete(source);
      this.#entries.set(source, bytes);
    }
    return bytes;
  }

  keep(source: LazyBytes, bytes: Uint8Array): void {
    this.#entries.set(source, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#entries) {
      if (this.#bytes <= this.#most || oldest === source) break;
      this.#entries.delete(oldest);
      this.#bytes -= length;
    }
  }
}

const recent = new Recent(2 ** 28);
