import { randomUUID } from "node:crypto";
import { constants, type FileHandle, open, rename, rm } from "node:fs/promises";
import { BitwrightError } from "./errors.js";

/** A file to be written: its path and its bytes in order. */
export interface NewFile {
  readonly path: string;
  /** Asked for one after another, each when the one before has been written. */
  readonly chunks: Iterable<Uint8Array>;
}

/** One read or write call is limited to 2 GiB. */
export const chunkBytes = 1 << 30;

/**
 * Writes all files under other names in the same folders, and only when all are whole gives them their names: at any moment a
 * path holds its old file or the new one.
 * @throws BitwrightError `io`.
 */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  const staged = files.map((file) => ({ ...file, temporary: `${file.path}.${randomUUID()}.tmp` }));
  try {
    for (const { path, temporary, chunks } of staged) await guardIo(path, () => writeChunks(temporary, chunks));
    for (const { path, temporary } of staged) await guardIo(path, () => rename(temporary, path));
  } finally {
    for (const { temporary } of staged) await rm(temporary, { force: true });
  }
}

/** Writes a text file as {@link replaceFiles} does. */
export function replaceTextFile(path: string, text: string): Promise<void> {
  return replaceFiles([{ path, chunks: [new TextEncoder().encode(text)] }]);
}

/**
 * Opens a file of known size. Pipes and devices are refused: they may have no end, and opening a pipe would wait for a writer.
 * @throws BitwrightError `io` for what is no regular file, else what Node throws.
 */
export async function openToRead(path: string): Promise<{ file: FileHandle; size: number }> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const info = await file.stat();
    if (info.isFile()) return { file, size: info.size };
    throw new BitwrightError("io", "not a regular file", { where: path });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Runs something that touches the file at `path`; its failures become BitwrightErrors `io` that say where. */
export async function guardIo<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BitwrightError("io", `the file could not be read or written: ${reason}`, { where: path, cause });
  }
}

async function writeChunks(path: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (const chunk of chunks) await writeChunk(file, chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeChunk(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, offset, Math.min(chunkBytes, chunk.length - offset));
    offset += bytesWritten;
  }
}
