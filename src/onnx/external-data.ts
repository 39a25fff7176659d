import { clearField } from "@bufbuild/protobuf";
import { BitwrightError } from "../errors.js";
import { type ModelProto, type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from "./generated/onnx_pb.js";
import { everyTensor } from "./traverse.js";

/** The names of the files that hold a model's external tensor data. */
export function externalLocations(proto: ModelProto): string[] {
  const locations = new Set<string>();
  for (const tensor of everyTensor(proto)) if (isExternal(tensor)) locations.add(entries(tensor).location);
  return [...locations];
}

/** Gives every external tensor its `raw_data`, as a view of the file's bytes. */
export function attachExternalData(proto: ModelProto, files: Readonly<Record<string, Uint8Array>>): void {
  for (const tensor of everyTensor(proto)) {
    if (!isExternal(tensor)) continue;
    tensor.rawData = locate(tensor, files);
    clearField(tensor, TensorProtoSchema.field.externalData);
    clearField(tensor, TensorProtoSchema.field.dataLocation);
  }
}

function locate(tensor: TensorProto, files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const where = `tensor "${tensor.name}"`;
  const { location, offset, length } = entries(tensor);
  const file = Object.hasOwn(files, location) ? files[location] : undefined;
  if (file === undefined) {
    throw new BitwrightError("invalid-model", "its data is in a second file that was not given", {
      where,
      expected: `the bytes of "${location}"`,
      received: `${Object.keys(files).length} external files`,
      remedy: "Read the model with readModelFile, or pass the file's bytes in externalData",
    });
  }
  const end = length === undefined ? file.length : offset + length;
  if (end > file.length || offset > file.length) {
    throw new BitwrightError("invalid-model", "its external data ends outside of the file", {
      where,
      expected: `bytes ${offset} to ${end}`,
      received: `${file.length} bytes in "${location}"`,
      remedy: "The data file is truncated or belongs to another model; fetch both again",
    });
  }
  return file.subarray(offset, end);
}

function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;
}

function entries(tensor: TensorProto): { location: string; offset: number; length: number | undefined } {
  const entry = (key: string) => tensor.externalData.find((pair) => pair.key === key)?.value;
  const size = (key: string) => {
    const text = entry(key);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw new BitwrightError("invalid-model", `the ${key} of its external data is not a size`, {
      where: `tensor "${tensor.name}"`,
      expected: "a whole number of bytes",
      received: JSON.stringify(text.slice(0, 40)),
    });
  };
  const location = entry("location");
  if (location === undefined || location === "") {
    throw new BitwrightError("invalid-model", "its external data has no location", {
      where: `tensor "${tensor.name}"`,
      expected: "the name of a file beside the model",
      received: "none",
    });
  }
  return { location, offset: size("offset") ?? 0, length: size("length") };
}
