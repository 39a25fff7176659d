import type { Sharp } from "sharp";
import { BitwrightError } from "../errors.js";
import type { ImageDecoder, ImageFilter, ImageGeometry } from "./images.js";

const kernels = {
  bilinear: "linear",
  bicubic: "cubic",
  lanczos: "lanczos3",
  nearest: "nearest",
} as const satisfies Record<ImageFilter, string>;

/** Decodes with sharp, which is optional and loaded at the first picture. */
export const decodeWithSharp: ImageDecoder = async (bytes, geometry, where) => {
  const { default: sharp } = await loadSharp();
  try {
    // Colour profiles and orientation tags are left alone, as in the loaders that networks are trained with.
    const image = sharp(bytes, { failOn: "error", ignoreIcc: true });
    const { width, height } = await image.metadata();
    const cut = place(image, geometry, height, width, where);
    const colours = geometry.gray ? cut.toColourspace("b-w") : cut.toColourspace("srgb");
    const { data, info } = await colours.removeAlpha().raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return { height: info.height, width: info.width, data };
  } catch (cause) {
    if (cause instanceof BitwrightError) throw cause;
    throw new BitwrightError("invalid-data", "the picture cannot be decoded", { where, cause });
  }
};

function place(image: Sharp, geometry: ImageGeometry, height: number, width: number, where: string): Sharp {
  const [h, w] = resized(geometry.resize, height, width);
  const scaled =
    h === height && w === width
      ? image
      : image.resize({ height: h, width: w, fit: "fill", kernel: kernels[geometry.filter], fastShrinkOnLoad: false });
  if (geometry.crop === undefined) return scaled;
  const [cropHeight, cropWidth] = geometry.crop;
  if (cropHeight > h || cropWidth > w) {
    throw new BitwrightError("invalid-data", "the picture is smaller than its crop", {
      where,
      expected: `at least ${cropWidth}x${cropHeight}`,
      received: `${w}x${h}`,
      remedy: 'Set "resize" to enlarge it first.',
    });
  }
  const top = Math.floor((h - cropHeight) / 2);
  const left = Math.floor((w - cropWidth) / 2);
  return scaled.extract({ top, left, height: cropHeight, width: cropWidth });
}

function resized(resize: ImageGeometry["resize"], height: number, width: number): readonly [number, number] {
  if (resize === undefined) return [height, width];
  if (typeof resize !== "number") return resize;
  const shorter = Math.min(height, width);
  return [Math.floor((height * resize) / shorter), Math.floor((width * resize) / shorter)];
}

async function loadSharp(): Promise<typeof import("sharp")> {
  try {
    return await import("sharp");
  } catch (cause) {
    throw new BitwrightError("runtime-missing", "pictures are decoded by the package sharp, which cannot be loaded", {
      remedy: "Run `npm install sharp`, or store the decoded pictures as a uint8 .npy array.",
      cause,
    });
  }
}
