import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { BitwrightError } from "../errors.js";
import { openToRead } from "../io-node.js";
import type { Files, OpenFile } from "./files.js";

/** Files on disk, relative to `baseDir`; only the ranges asked for are read. */
export function diskFiles(baseDir: string): Files {
  return {
    open: (path) => openDisk(resolve(baseDir, path)),
    async list(path) {
      const folder = resolve(baseDir, path);
      const isFolder = await onDisk(folder, async () => (await stat(folder)).isDirectory());
      if (!isFolder) return undefined;
      const entries = await onDisk(folder, () => readdir(folder, { withFileTypes: true }));
      const names = entries.filter((e) => !e.isDirectory() && !e.name.startsWith(".")).map((e) => e.name);
      return names.sort().map((name) => join(path, name).replaceAll("\\", "/"));
    },
  };
}

async function openDisk(path: string): Promise<OpenFile> {
  const { file, size } = await onDisk(path, () => openToRead(path));
  return {
    size,
    async read(into, offset) {
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await onDisk(path, () => file.read(into, done, into.length - done, offset + done));
        if (bytesRead === 0) {
          throw new BitwrightError("io", "the file became shorter while it was read", { where: path });
        }
        done += bytesRead;
      }
    },
    close: () => file.close(),
  };
}

async function onDisk<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new BitwrightError("io", missing ? "no such file or folder" : "cannot be read", { where: path, cause });
  }
}
