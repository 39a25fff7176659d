import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's own folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What the native build leaves. */
export const addon = join(root, "build", "Release", "bitwright.node");
