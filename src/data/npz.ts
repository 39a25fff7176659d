// .npz: a zip archive with one .npy file for each array. The archive is held in memory while a member is taken out,
// so large data belongs in .npy files, which are read by position.

import { unzipSync } from "fflate";
import { BitwrightError } from "../errors.js";

// A member is declared in the archive's directory, so a small hostile archive can announce any size.
const maxMemberBytes = 2 ** 31;

/** The bytes of the .npy file of array `member`. */
export function extractMember(archive: Uint8Array, member: string, where: string): Uint8Array {
  const names: string[] = [];
  let tooLarge = false;
  let found: Uint8Array | undefined;
  try {
    const wanted = unzipSync(archive, {
      filter: ({ name, originalSize }) => {
        names.push(name.replace(/\.npy$/, ""));
        if (names.at(-1) !== member) return false;
        tooLarge = originalSize > maxMemberBytes;
        return !tooLarge;
      },
    });
    found = Object.values(wanted)[0];
  } catch (cause) {
    throw new BitwrightError("invalid-data", "not a readable .npz archive", { where, cause });
  }
  if (found !== undefined) return found;
  throw new BitwrightError(
    "invalid-data",
    tooLarge ? "the array is too large for .npz" : "no such array in the archive",
    {
      where,
      expected: tooLarge ? `at most ${maxMemberBytes} bytes` : `one of ${names.join(", ") || "no arrays"}`,
      received: member,
      remedy: tooLarge ? "Save it as a .npy file." : 'Write the name after "#", as in "data.npz#images".',
    },
  );
}
