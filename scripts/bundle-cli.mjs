// Puts the modules of the command line into few files, dist/bin/: Node takes longer to find and read some four hundred than a short command runs. Packages stay
// outside, and so does the class of errors, which the modules of users' metrics share with the library.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "rolldown";
import { root } from "./paths.mjs";

const dist = join(root, "dist");
const isOwn = (id) => /^[./]/.test(id) || id.startsWith(root);
const isShared = (id) => /(^|\/)errors\.js$/.test(id);

rmSync(join(dist, "bin"), { recursive: true, force: true });
await build({
  input: { bitwright: join(dist, "cli", "main.js") },
  platform: "node",
  external: (id) => !isOwn(id) || isShared(id),
  output: { dir: join(dist, "bin"), format: "esm", chunkFileNames: "[name].js" },
  logLevel: "warn",
});
