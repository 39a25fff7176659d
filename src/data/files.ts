import { BitwrightError } from "../errors.js";

/** A file opened for positioned reads. */
export interface OpenFile {
  /** Bytes. */
  readonly size: number;
  /** Fills `into` with the bytes from `offset` on; the range lies inside the file, or it is an error. */
  read(into: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Where a data set's files come from: a folder on disk, or bytes that the caller holds. Paths are the manifest's own. */
export interface Files {
  open(path: string): Promise<OpenFile>;
  /** Paths of the files directly inside a folder, sorted by code unit; undefined when `path` is not a folder. */
  list(path: string): Promise<string[] | undefined>;
}

/** Files held in memory, by the paths a manifest names them with; a Blob is read piece by piece. */
export function memoryFiles(contents: Readonly<Record<string, Uint8Array | Blob>>): Files {
  const byPath = new Map(Object.entries(contents));
  return {
    async open(path) {
      const content = byPath.get(path);
      if (content !== undefined) return content instanceof Uint8Array ? openBytes(content) : openBlob(content, path);
      throw new BitwrightError("io", "no such file was given", {
        where: path,
        received: [...byPath.keys()].join(", ") || "no files",
      });
    },
    async list(path) {
      const prefix = path.endsWith("/") ? path : `${path}/`;
      const inside = [...byPath.keys()].filter((p) => p.startsWith(prefix) && !p.includes("/", prefix.length));
      return inside.length > 0 ? inside.sort() : undefined;
    },
  };
}

export function openBytes(bytes: Uint8Array): OpenFile {
  return {
    size: bytes.length,
    async read(into, offset) {
      into.set(bytes.subarray(offset, offset + into.length));
    },
    async close() {},
  };
}

function openBlob(blob: Blob, path: string): OpenFile {
  return {
    size: blob.size,
    async read(into, offset) {
      try {
        into.set(new Uint8Array(await blob.slice(offset, offset + into.length).arrayBuffer()));
      } catch (cause) {
        throw new BitwrightError("io", "cannot be read", { where: path, cause });
      }
    },
    async close() {},
  };
}

/** Runs `use` on an opened file and closes it whatever happens. */
export async function withFile<T>(open: () => Promise<OpenFile>, use: (file: OpenFile) => Promise<T>): Promise<T> {
  const file = await open();
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** The whole of a file; for containers and lists, which have to fit in memory. */
export function readWhole(files: Files, path: string): Promise<Uint8Array> {
  return withFile(
    () => files.open(path),
    async (file) => {
      const bytes = allocate(file.size, path);
      await file.read(bytes, 0);
      return bytes;
    },
  );
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

export async function readText(files: Files, path: string): Promise<string> {
  try {
    return utf8.decode(await readWhole(files, path));
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    throw new BitwrightError("invalid-data", "not UTF-8 text", { where: path, cause });
  }
}

/** The path that `path`, as written inside the file `from`, denotes. */
export function besideFile(from: string, path: string): string {
  if (isAbsolute(path)) return path;
  return from.slice(0, from.lastIndexOf("/") + 1) + path;
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path);
}

/** A zeroed buffer, or an `out-of-memory` error that says for what. */
export function allocate(bytes: number, where: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new BitwrightError("out-of-memory", `a buffer of ${bytes} bytes cannot be allocated`, { where, cause });
  }
}
