import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BitwrightError } from "../errors.js";
import { guardIo } from "../io-node.js";

/**
 * Finds out before the work begins that a result could not be written.
 * @throws BitwrightError `invalid-option` when a result would replace an input, or two results each other; `io` when a folder cannot be written to.
 */
export async function checkOutputs(inputs: readonly string[], outputs: readonly string[]): Promise<void> {
  const taken = new Map(inputs.map((path) => [resolve(path), "it would replace the input"]));
  for (const path of outputs) {
    const clash = taken.get(resolve(path));
    if (clash !== undefined) throw new BitwrightError("invalid-option", clash, { where: path });
    taken.set(resolve(path), "two results have the same name");
    await guardIo(dirname(resolve(path)), () => access(dirname(resolve(path)), constants.W_OK));
    if ((await stat(path).catch(() => undefined))?.isDirectory()) {
      throw new BitwrightError("invalid-option", "it is a folder", { where: path, expected: "the name of a file" });
    }
  }
}
