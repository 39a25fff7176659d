import { BitwrightError } from "../errors.js";
import { besideFile, type Files, readText, readWhole } from "./files.js";
import { parseJson } from "./json.js";
import type { SampleSource } from "./source.js";

/** How a picture becomes an array: decoded, resized, cut, in this order. */
export interface ImageGeometry {
  /** Length of the shorter side after resizing (the other is scaled alike, rounded down), or [height, width]. */
  readonly resize: number | readonly [number, number] | undefined;
  readonly filter: ImageFilter;
  /** [height, width] of the centre that is kept. */
  readonly crop: readonly [number, number] | undefined;
  readonly gray: boolean;
}

export const imageFilters = ["bilinear", "bicubic", "lanczos", "nearest"] as const;
export type ImageFilter = (typeof imageFilters)[number];

/** Decodes one picture to bytes in height, width, channel order: three channels RGB, or one when `gray`. */
export type ImageDecoder = (
  bytes: Uint8Array,
  geometry: ImageGeometry,
  where: string,
) => Promise<{ height: number; width: number; data: Uint8Array }>;

/**
 * Pictures as samples.
 * @param reference a folder (its pictures sorted by name), or a list: .txt with one path a line, .json with paths or with
 * objects that hold a path in `field`. Paths in a list are relative to it.
 */
export async function openImages(
  files: Files,
  reference: string,
  field: string,
  geometry: ImageGeometry,
  decode: ImageDecoder,
): Promise<SampleSource> {
  const paths = await imagePaths(files, reference, field);
  const [height, width] = geometry.crop ?? (Array.isArray(geometry.resize) ? geometry.resize : [null, null]);
  const channels = geometry.gray ? 1 : 3;
  return {
    size: paths.length,
    dims: [height, width, channels],
    where: (index) => paths[index]!,
    read: (indices) =>
      Promise.all(
        Array.from(indices, async (index) => {
          const path = paths[index]!;
          const image = await decode(await readWhole(files, path), geometry, path);
          return { dims: [image.height, image.width, channels], data: image.data };
        }),
      ),
    async *contents() {
      for (let first = 0; first < paths.length; first += openAtOnce) {
        const pictures = paths.slice(first, first + openAtOnce);
        const contents = await Promise.all(pictures.map((path) => readWhole(files, path)));
        yield new Uint8Array(await new Blob(contents as Uint8Array<ArrayBuffer>[]).arrayBuffer());
      }
    },
  };
}

/** Reading small files one after another, and hashing each of them by itself, is mostly waiting. */
const openAtOnce = 16;

const imageName = /\.(jpe?g|png|webp|gif|tiff?|avif|bmp)$/i;

async function imagePaths(files: Files, reference: string, field: string): Promise<string[]> {
  const paths = (await files.list(reference))?.filter((path) => imageName.test(path)) ?? (await listed());
  if (paths.length > 0) return paths;
  throw new BitwrightError("invalid-data", "no pictures found", { where: reference, expected: "one picture or more" });

  async function listed(): Promise<string[]> {
    if (imageName.test(reference)) return [reference];
    const text = await readText(files, reference);
    const entries = reference.toLowerCase().endsWith(".json")
      ? parseJson(text, reference)
          .list()
          .map((entry) => (typeof entry.value === "object" ? entry.at(field) : entry).text())
      : text.split(/\r?\n/).filter((line) => line.trim() !== "");
    return entries.map((entry) => besideFile(reference, entry));
  }
}
