import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { checkVersion, signatures } from "../../src/backend/abi.js";
import { loadBackend } from "../../src/backend/load-node.js";
import { createWasmBackend } from "../../src/backend/wasm.js";
import { backend } from "../support/backends.js";

const root = new URL("../../", import.meta.url);
const wasm = () => readFileSync(new URL("wasm/bitwright.wasm", root));

/** Each function of native/abi.h with its parameters, spelled as src/backend/abi.ts does. */
const declared = new Map(
  [...readFileSync(new URL("native/abi.h", root), "utf8").matchAll(/BW_API int32_t (bw_\w+)\(([^)]*)\);/g)].map(
    ([, name, parameters]) => [name!, parameters === "void" ? [] : parameters!.split(",").map(spelling)],
  ),
);

function spelling(parameter: string): string {
  const [, constant, type, pointer] = /^\s*(const )?(\w+)(\*?) \w+$/.exec(parameter)!;
  const spellings: Record<string, string> = {
    uint8_t: "u8",
    int32_t: "i32",
    uint32_t: "u32",
    bw_graph: "u32",
    int64_t: "i64",
    float: "f32",
    double: "f64",
    bw_size: "size",
  };
  const scalar = spellings[type!]!;
  if (pointer === "") return scalar;
  return constant === undefined ? `out ${scalar}[]` : `${scalar}[]`;
}

describe("the functions of native/abi.h", () => {
  const names = [...declared.keys()].sort();

  test("are those of TypeScript's table", () => {
    expect(Object.fromEntries(declared)).toEqual({ bw_abi_version: [], ...signatures });
  });

  test("are exported by the addon, for both kinds of call", () => {
    const addon = createRequire(import.meta.url)(fileURLToPath(new URL("build/Release/bitwright.node", root)));
    expect(Object.keys(addon.sync).sort()).toEqual(names);
    expect(["bw_abi_version", ...Object.keys(addon.async)].sort()).toEqual(names);
  });

  test("are exported by the WebAssembly module, which imports two functions", async () => {
    const module = await WebAssembly.compile(wasm());
    const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
    expect(exported.filter((name) => name.startsWith("bw_")).sort()).toEqual(names);
    const imported = WebAssembly.Module.imports(module).map(({ name }) => name);
    expect(imported.sort()).toEqual(["emscripten_notify_memory_growth", "proc_exit"]);
  });
});

describe("a failure in the engine", () => {
  const failure = { name: "BitwrightError", code: "engine-failure", message: expect.stringContaining("graph 12345") };

  test("is thrown by a call", () => {
    expect(() => backend.call("bw_graph_destroy", 12345)).toThrow(expect.objectContaining(failure));
  });

  test("rejects an asynchronous call", async () => {
    await expect(backend.callAsync("bw_graph_destroy", 12345)).rejects.toMatchObject(failure);
  });

  test("belongs to its own call when many run at once", async () => {
    const ids = Array.from({ length: 32 }, (_, i) => 50_000 + i);
    const messages = await Promise.all(
      ids.map((id) => backend.callAsync("bw_graph_destroy", id).catch((error: Error) => error.message)),
    );
    expect(messages).toEqual(ids.map((id) => expect.stringContaining(`${id}`)));
  });

  test("names a program that is none", async () => {
    const garbage = new Uint8Array(64).fill(7);
    const create = backend.callAsync(
      "bw_graph_create",
      garbage,
      64,
      1,
      1,
      1e9,
      new Uint8Array(0),
      0,
      new Uint32Array(1),
    );
    await expect(create).rejects.toMatchObject({ code: "invalid-model" });
  });
});

describe("the WebAssembly engine", () => {
  test("is not used again after it trapped", async () => {
    const engine = await createWasmBackend(wasm());
    const one = Float32Array.of(1);
    const zero = Int32Array.of(0);
    const stopped = expect.objectContaining({ code: "engine-failure", remedy: "Create a new backend." });
    const overrun = () =>
      engine.call("bw_fake_quantize", one, 1, 2 ** 29, 1, 0, 1, one, zero, 1, -8, 7, Float32Array.of(1));
    expect(overrun).toThrow(stopped);
    expect(() => engine.call("bw_targets", new Uint8Array(0), 0, new Float64Array(1))).toThrow(stopped);
  });

  test("refuses bytes that are no module", async () => {
    await expect(createWasmBackend(new Uint8Array(8))).rejects.toMatchObject({ code: "backend-unavailable" });
  });
});

describe("choosing a backend", () => {
  test("takes the asked one and no other", async () => {
    expect((await loadBackend("native")).name).toBe("native");
    expect((await loadBackend("wasm")).name).toBe("wasm");
    expect(backend.name).toBe(process.env.BITWRIGHT_BACKEND);
  });

  test("refuses a name that is none, in the option and in the environment", async () => {
    const asked = process.env.BITWRIGHT_BACKEND;
    await expect(loadBackend("gpu" as "wasm")).rejects.toMatchObject({ code: "invalid-option", where: "backend" });
    process.env.BITWRIGHT_BACKEND = "true";
    try {
      await expect(loadBackend()).rejects.toMatchObject({ code: "invalid-option", where: "BITWRIGHT_BACKEND" });
    } finally {
      process.env.BITWRIGHT_BACKEND = asked;
    }
  });

  test("refuses another version of the boundary", () => {
    expect(() => checkVersion(0)).toThrow(expect.objectContaining({ code: "backend-unavailable" }));
  });

  test("makes independent engines of one module", async () => {
    const module = await WebAssembly.compile(wasm());
    const [first, second] = await Promise.all([createWasmBackend(module), createWasmBackend(wasm())]);
    expect(first).not.toBe(second);
    first.call("bw_targets", new Uint8Array(0), 0, new Float64Array(1));
    second.call("bw_targets", new Uint8Array(0), 0, new Float64Array(1));
  });
});
