import { readFile } from "node:fs/promises";
import { Field } from "../data/field.js";
import { parseJson } from "../data/json.js";
import { guardIo } from "../io-node.js";
import { type HardwareProfile, parseProfile } from "./profile.js";

/**
 * A hardware profile, from its JSON file or as an object.
 * @throws BitwrightError `io`; `invalid-data` when it is not one.
 */
export async function openProfile(profile: string | HardwareProfile): Promise<HardwareProfile> {
  if (typeof profile !== "string") return parseProfile(new Field("options", "profile", profile));
  return parseProfile(parseJson(await guardIo(profile, () => readFile(profile, "utf8")), profile));
}
