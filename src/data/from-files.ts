import { BitwrightError } from "../errors.js";
import { demand } from "../given.js";
import type { Dataset } from "./dataset.js";
import { Field } from "./field.js";
import { memoryFiles } from "./files.js";
import type { ImageDecoder } from "./images.js";
import { parseJson } from "./json.js";
import type { DatasetManifest } from "./manifest.js";
import { type CustomMetric, customMetric } from "./metrics/custom.js";
import { openManifest } from "./open.js";

export interface DatasetFromFilesOptions {
  /** Takes the place of the manifest's metric. */
  readonly metric?: CustomMetric;
  /** Decodes pictures where there is no sharp; needed only for manifests with pictures. */
  readonly decodeImage?: ImageDecoder;
}

/**
 * Opens a manifest whose files the caller holds, where there is no file system.
 * @param manifest the document, or its JSON text.
 * @param files contents by the paths that the manifest names; a Blob is read piece by piece.
 */
export async function datasetFromFiles(
  manifest: DatasetManifest | string,
  files: Readonly<Record<string, Uint8Array | Blob>>,
  { metric, decodeImage = noDecoder }: DatasetFromFilesOptions = {},
): Promise<Dataset> {
  demand("options", files, "files");
  const root = typeof manifest === "string" ? parseJson(manifest, "manifest") : new Field("manifest", "", manifest);
  const own = metric && customMetric(metric, "metric");
  return openManifest(root, { files: memoryFiles(files), decodeImage }, own);
}

const noDecoder: ImageDecoder = async (_bytes, _geometry, where) => {
  throw new BitwrightError("runtime-missing", "pictures cannot be decoded here", {
    where,
    remedy: "Give decodeImage, or store the decoded pictures as a uint8 .npy array.",
  });
};
