import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { BitwrightError } from "./errors.js";
import { guardIo } from "./io-node.js";

/**
 * Finds out before the work begins that a result could not be written.
 * @param inputs - Files that are read; undefined stands for none.
 * @param outputs - Files that will be written; undefined and "-" stand for none.
 * @throws BitwrightError `invalid-option` when a result would replace an input, another result or what is no file; `io` when a folder cannot be written to.
 */
export async function checkOutputs(
  inputs: readonly (string | undefined)[],
  outputs: readonly (string | undefined)[],
): Promise<void> {
  const taken = new Map<string, string>();
  for (const path of inputs) {
    if (path === undefined) continue;
    // A result replaces a link, not what it leads to: a name that is one counts as well as its end.
    for (const name of [resolve(path), await realpath(path).catch(() => resolve(path))]) {
      taken.set(name, "it would replace an input");
    }
  }
  for (const path of outputs) {
    if (path === undefined || path === "-") continue;
    const folder = dirname(resolve(path));
    await guardIo(folder, () => access(folder, constants.W_OK));
    const name = join(await realpath(folder), basename(path));
    const clash = taken.get(name) ?? taken.get(resolve(path));
    if (clash !== undefined) throw new BitwrightError("invalid-option", clash, { where: path });
    taken.set(name, "two results have the same name");
    const present = await stat(path).catch(() => undefined);
    if (present !== undefined && !present.isFile()) {
      const what = present.isDirectory() ? "it is a folder" : "it is a device or a pipe";
      throw new BitwrightError("invalid-option", what, { where: path, expected: "the name of a file" });
    }
  }
}
