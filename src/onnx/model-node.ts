import { existsSync } from "node:fs";
import { readdir, realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { chunkBytes, guardIo, openToRead, replaceFiles } from "../io-node.js";
import { cloneMessage } from "./clone.js";
import { attachExternalData, type ExternalFile, externalLocations } from "./external-data.js";
import { FileBytes, fileState } from "./file-bytes-node.js";
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from "./generated/onnx_pb.js";
import { lazyFrom, rawLength, setLazyBytes } from "./lazy-bytes.js";
import { decodeModel, type OnnxModel, storedBytes, writeModel } from "./model.js";
import { validateModel } from "./validate.js";

export interface ReadFileOptions {
  /** Bytes from which on a tensor's external data is left in its file until it is used. */
  readonly lazyFrom?: number;
}

/** A model with what is known of the files that it was read from. */
export interface ModelFile extends OnnxModel {
  /** Size, external data included. */
  readonly bytes: number;
  /** Whether a part of its tensors lies in other files. */
  readonly hasExternalData: boolean;
}

/**
 * Reads a model and its external data, which must lie in the model's own folder. Large tensors are left in their file, and read each time they are used:
 * leave it as it is until the work has ended.
 * @throws BitwrightError `io` when a file cannot be read, `invalid-model` when it is not a usable model.
 */
export async function readModelFile(path: string, options: ReadFileOptions = {}): Promise<ModelFile> {
  const whole = await readWhole(path);
  const proto = decodeModel(whole);
  const files: [location: string, file: ExternalFile][] = [];
  for (const location of externalLocations(proto))
    files.push([location, externalFile(await beside(path, location), options.lazyFrom ?? lazyFrom)]);
  attachExternalData(proto, Object.fromEntries(files));
  const bytes = files.reduce((sum, [, { length }]) => sum + length, whole.length);
  return { proto, graph: validateModel(proto), bytes, hasExternalData: files.length > 0 };
}

function externalFile(path: string, lazyFrom: number): ExternalFile {
  const state = fileState(path);
  return {
    length: state.length,
    attach(tensor, begin, end) {
      const bytes = new FileBytes(state, begin, end);
      if (bytes.length >= lazyFrom) setLazyBytes(tensor, bytes);
      else tensor.rawData = bytes.read();
    },
  };
}

export interface WriteFileOptions {
  /** Bytes of tensor data above which weights go to a second file, `<path>.data`. */
  readonly externalAbove?: number;
}

/**
 * Writes a model so that `path` holds the old file or the whole new one at any moment: written beside it, then renamed. Weights in a second file are written one
 * after another; that file has a name that is free, `<path>.data` or `<path>.1.data` and so on, so that the old pair stays whole until the new one is.
 * @throws BitwrightError `io`.
 */
export async function writeModelFile(model: OnnxModel, path: string, options: WriteFileOptions = {}): Promise<void> {
  demand("model", model);
  demand("path", path);
  // A margin under the 2 GiB that a protocol buffer can hold.
  const externalAbove = options.externalAbove ?? 1.5e9;
  const old = await ownDataFiles(path);
  const hasLarge = model.graph.initializer.some((tensor) => rawLength(tensor) >= smallestExternal);
  if (storedBytes(model.proto) <= externalAbove || !hasLarge) {
    await replaceFiles([{ path, chunks: [writeModel(model)] }]);
  } else {
    const dataPath = await freeName(path);
    const { proto, chunks } = withExternalData(model, basename(dataPath));
    await replaceFiles([
      { path: dataPath, chunks },
      { path, chunks: [toBinary(ModelProtoSchema, proto)] },
    ]);
  }
  for (const file of old) await guardIo(file, () => rm(file, { force: true }));
}

/** How to write what is made of a model: with its weights in a second file if that has its own there. */
export function writtenLike({ hasExternalData }: Pick<ModelFile, "hasExternalData">): WriteFileOptions {
  return hasExternalData ? { externalAbove: 0 } : {};
}

async function freeName(path: string): Promise<string> {
  for (let n = 0; ; n++) {
    const name = n === 0 ? `${path}.data` : `${path}.${n}.data`;
    if (!existsSync(name)) return name;
  }
}

/** The data files of the model that is at `path` now, as far as they have the names that are given here. */
async function ownDataFiles(path: string): Promise<string[]> {
  const name = basename(path);
  const isOwn = (file: string) => file.startsWith(name) && /^(\.\d+)?\.data$/.test(file.slice(name.length));
  try {
    const own = (await readdir(dirname(path))).filter(isOwn);
    if (own.length === 0) return [];
    const locations = externalLocations(decodeModel(await readWhole(path)));
    return own.filter((file) => locations.includes(file)).map((file) => join(dirname(path), file));
  } catch {
    // Nothing is there yet, or no model.
    return [];
  }
}

// Small tensors (shapes, scales, zero points) stay in the model, where shape inference of other tools can read them.
const smallestExternal = 1024;
// Page size, so that engines can map the file into memory.
const alignment = 4096;

/** The model without its large tensors, and these in order, each read when it is its turn. */
function withExternalData(model: OnnxModel, location: string) {
  const proto = cloneMessage(model.proto);
  const external: { readonly source: TensorProto; readonly padding: number }[] = [];
  let offset = 0;
  for (const [i, source] of (model.proto.graph?.initializer ?? []).entries()) {
    const length = rawLength(source);
    if (length < smallestExternal) continue;
    const padding = (alignment - (offset % alignment)) % alignment;
    offset += padding;
    external.push({ source, padding });
    setExternal(proto.graph!.initializer[i]!, { location, offset: String(offset), length: String(length) });
    offset += length;
  }
  const chunks = function* () {
    for (const { source, padding } of external) {
      if (padding > 0) yield new Uint8Array(padding);
      yield source.rawData;
    }
  };
  return { proto, chunks: chunks() };
}

function setExternal(tensor: TensorProto, entries: Record<string, string>): void {
  tensor.rawData = new Uint8Array(0);
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
}

/**
 * The path of a data file that a model names. Refused when it leads out of the folder of the model, or of the file that the
 * model's path links to (caches keep models as links into a folder of blobs).
 */
async function beside(modelPath: string, location: string): Promise<string> {
  const refused = (cause?: unknown) =>
    new BitwrightError("invalid-model", "its external data lies outside of the model's folder", {
      where: modelPath,
      expected: "the name of a file in the model's folder",
      received: JSON.stringify(location.slice(0, 200)),
      remedy: "Move the data file beside the model",
      ...(cause === undefined ? {} : { cause }),
    });
  if (isAbsolute(location) || location.includes("\\") || location.includes("\0")) throw refused();
  const folder = resolve(dirname(modelPath));
  if (!isInside(folder, resolve(folder, location))) throw refused();
  return guardIo(modelPath, async () => {
    const target = await realpath(join(folder, location));
    const allowed = [await realpath(folder), dirname(await realpath(modelPath))];
    if (!allowed.some((root) => isInside(root, target))) throw refused();
    return target;
  });
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function readWhole(path: string): Promise<Uint8Array> {
  return guardIo(path, async () => {
    const { file, size } = await openToRead(path);
    try {
      const bytes = new Uint8Array(size);
      let filled = 0;
      while (filled < size) {
        const { bytesRead } = await file.read(bytes, filled, Math.min(chunkBytes, size - filled), filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  });
}

/**
 * Size of a model file with its external data.
 * @throws BitwrightError `io`; `invalid-model` when the file is no model.
 */
export async function modelFileBytes(path: string): Promise<number> {
  const bytes = await readWhole(path);
  let size = bytes.length;
  for (const location of externalLocations(decodeModel(bytes))) {
    const file = await beside(path, location);
    size += (await guardIo(file, () => stat(file))).size;
  }
  return size;
}
