import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { abiVersion, signatures } from "../../src/backend/abi.js";
import { loadBackend } from "../../src/backend/load-node.js";

const root = new URL("../../", import.meta.url);
const header = readFileSync(new URL("native/abi.h", root), "utf8");

/** name -> parameters as src/backend/abi.ts spells them, from the declarations in native/abi.h. */
const declared = new Map(
  [...header.matchAll(/BW_API int32_t (bw_\w+)\(([^)]*)\);/g)].map(([, name, parameters]) => [
    name!,
    parameters!
      .split(",")
      .map((parameter) => parameter.trim().replace(/\s+/g, " "))
      .filter((parameter) => parameter !== "void")
      .map(spelling),
  ]),
);

function spelling(parameter: string): string {
  const [, constant, type, pointer] = /^(const )?(\w+)(\*)? \w+$/.exec(parameter)!;
  const short = {
    uint8_t: "u8",
    int32_t: "i32",
    uint32_t: "u32",
    bw_graph: "u32",
    int64_t: "i64",
    float: "f32",
    double: "f64",
    bw_size: "size",
  }[type!];
  return pointer === undefined ? short! : `${constant === undefined ? "out " : ""}${short}[]`;
}

describe("the boundary", () => {
  const functions = [...declared.keys()].sort();

  test("TypeScript's table is the header's", () => {
    const { bw_abi_version, ...rest } = Object.fromEntries(declared);
    expect(bw_abi_version).toEqual([]);
    expect(rest).toEqual(signatures);
  });

  test("the addon exports the header's functions, each twice but the version", () => {
    const addon = createRequire(import.meta.url)(new URL("build/Release/bitwright.node", root).pathname);
    expect(Object.keys(addon.sync).sort()).toEqual(functions);
    expect(["bw_abi_version", ...Object.keys(addon.async)].sort()).toEqual(functions);
  });

  test("the WebAssembly module exports the header's functions and imports two", async () => {
    const module = await WebAssembly.compile(readFileSync(new URL("wasm/bitwright.wasm", root)));
    const names = WebAssembly.Module.exports(module).map((entry) => entry.name);
    expect(names.filter((name) => name.startsWith("bw_")).sort()).toEqual(functions);
    expect(
      WebAssembly.Module.imports(module)
        .map((entry) => entry.name)
        .sort(),
    ).toEqual(["emscripten_notify_memory_growth", "proc_exit"]);
  });
});
