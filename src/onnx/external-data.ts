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

/** A file of external data. */
export interface ExternalFile {
  readonly length: number;
  /** Gives a tensor the bytes from `begin` to before `end`. */
  attach(tensor: TensorProto, begin: number, end: number): void;
}

/** Files that are in memory; tensors become views of them. */
export function externalFiles(files: Readonly<Record<string, Uint8Array>>): Record<string, ExternalFile> {
  const attached = Object.entries(files).map(([location, bytes]): [string, ExternalFile] => [
    location,
    {
      length: bytes.length,
      attach: (tensor, begin, end) => {
        tensor.rawData = bytes.subarray(begin, end);
      },
    },
  ]);
  return Object.fromEntries(attached);
}

/** Gives every external tensor its `raw_data`. */
export function attachExternalData(proto: ModelProto, files: Readonly<Record<string, ExternalFile>>): void {
  const places: Place[] = [];
  for (const tensor of everyTensor(proto)) {
    if (!isExternal(tensor)) continue;
    const place = locate(tensor, files);
    places.push(place);
    clearField(tensor, TensorProtoSchema.field.externalData);
    clearField(tensor, TensorProtoSchema.field.dataLocation);
    place.file.attach(tensor, place.begin, place.end);
  }
  checkOverlaps(places);
}

/** Where a tensor's data lies. */
interface Place {
  readonly tensor: string;
  readonly location: string;
  readonly file: ExternalFile;
  readonly begin: number;
  readonly end: number;
}

function locate(tensor: TensorProto, files: Readonly<Record<string, ExternalFile>>): Place {
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
  return { tensor: tensor.name, location, file, begin: offset, end };
}

/** Tensors may share all of their data, as tied weights do; parts of it they share only where a file is damaged. */
function checkOverlaps(places: readonly Place[]): void {
  const inOrder = places
    .filter(({ begin, end }) => end > begin)
    .sort((a, b) => (a.location < b.location ? -1 : a.location > b.location ? 1 : a.begin - b.begin || a.end - b.end));
  for (const [i, place] of inOrder.entries()) {
    const next = inOrder[i + 1];
    if (next === undefined || next.location !== place.location || next.begin >= place.end) continue;
    if (next.begin === place.begin && next.end === place.end) continue;
    throw new BitwrightError("invalid-model", "its external data overlaps that of another tensor", {
      where: `tensor "${next.tensor}"`,
      expected: `bytes of its own in "${place.location}", or the same as those of tensor "${place.tensor}": ${place.begin} to ${place.end}`,
      received: `bytes ${next.begin} to ${next.end}`,
      remedy: "The model's offsets are wrong; export it again",
    });
  }
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
