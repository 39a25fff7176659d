import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import { attachExternalData, externalFiles } from "./external-data.js";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "./generated/onnx_pb.js";
import { rawLength } from "./lazy-bytes.js";
import { everyTensor } from "./traverse.js";
import { validateModel } from "./validate.js";

/** A model in memory, whose structure was checked: names resolve, no cycles, tensor data as long as the shapes say. */
export interface OnnxModel {
  readonly proto: ModelProto;
  /** `proto.graph`. */
  readonly graph: GraphProto;
}

export interface ReadOptions {
  /** The files that hold external tensor data, by the location that the model names them by. */
  readonly externalData?: Readonly<Record<string, Uint8Array>>;
}

/**
 * Reads an ONNX file's bytes. Fields this version does not know survive; tensor data is not copied but refers to `bytes`, so
 * leave those as they are.
 * @throws BitwrightError `invalid-model`.
 */
export function readModel(bytes: Uint8Array, options: ReadOptions = {}): OnnxModel {
  demand("bytes", bytes);
  demand("options", options);
  const proto = decodeModel(bytes);
  attachExternalData(proto, externalFiles(options.externalData ?? {}));
  return { proto, graph: validateModel(proto) };
}

/** Decodes without looking at what the fields say. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  if (bytes.length === 0) {
    throw new BitwrightError("invalid-model", "the file is empty", { expected: "an ONNX model", received: "0 bytes" });
  }
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new BitwrightError("invalid-model", "the file is not a readable ONNX model", {
      expected: "a protocol buffer of type onnx.ModelProto",
      received: `${bytes.length} bytes that end or break in the middle (${cause instanceof Error ? cause.message : cause})`,
      remedy: "Export or download the file again; it may be truncated, a text file or a pointer to large-file storage",
      cause,
    });
  }
}

// Lengths in a protocol buffer are signed 32-bit numbers in most readers.
const largestFile = 2 ** 31 - 1;

/**
 * The model's bytes as an ONNX file. A model that was read and not changed gives the bytes it was read from.
 * @throws BitwrightError `io` for more than 2 GiB, which the format cannot hold in one file.
 */
export function writeModel(model: OnnxModel): Uint8Array {
  demand("model", model);
  const size = storedBytes(model.proto);
  if (size > largestFile) {
    throw new BitwrightError("io", "the model is too large for one ONNX file", {
      expected: `at most ${largestFile} bytes of tensor data`,
      received: `${size} bytes`,
      remedy: "Write it with writeModelFile, which moves weights to a second file",
    });
  }
  return toBinary(ModelProtoSchema, model.proto);
}

/** Bytes of raw tensor data in a model. */
export function storedBytes(proto: ModelProto): number {
  let bytes = 0;
  for (const tensor of everyTensor(proto)) bytes += rawLength(tensor);
  return bytes;
}
