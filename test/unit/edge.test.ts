import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../../src/", import.meta.url));

/** Packages that run in a browser, a worker, Deno and edge runtimes alike. */
const portable = ["@bufbuild/protobuf", "@huggingface/tokenizers", "fflate", "highs"];

/** Module specifiers that a file loads at run time: those of `import type` and `export type` are erased. */
function loads(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\s(?!type\s)(?:[^;"']*?\sfrom\s)?["']([^"']+)["']/gm);
  const dynamic = source.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g);
  return [...statements, ...dynamic].map(([, specifier]) => specifier!);
}

/** Every file that `entry` reaches, with what else is imported on the way, by the importing file. */
function reach(entry: string) {
  const files = new Set<string>();
  const foreign: string[] = [];
  const visit = (file: string) => {
    if (files.has(file)) return;
    files.add(file);
    for (const specifier of loads(readFileSync(file, "utf8"))) {
      if (specifier.startsWith(".")) visit(join(dirname(file), specifier.replace(/\.js$/, ".ts")));
      else foreign.push(`${relative(src, file)}: ${specifier}`);
    }
  };
  visit(join(src, entry));
  return { files: [...files].map((file) => relative(src, file)), foreign };
}

describe("bitwright/edge", () => {
  it("reaches the whole pipeline and nothing of Node", () => {
    const { files, foreign } = reach("edge.ts");
    expect(files).toEqual(expect.arrayContaining(["analyze.ts", "search-plan.ts", "export/qdq.ts", "onnx/model.ts"]));
    const allowed = (specifier: string) =>
      portable.some((name) => specifier === name || specifier.startsWith(`${name}/`));
    expect(foreign.filter((entry) => !allowed(entry.split(": ")[1]!))).toEqual([]);
    expect(files.filter((file) => file.endsWith("-node.ts"))).toEqual([]);
  });

  it("would notice an import of Node", () => {
    const { foreign } = reach("index.ts");
    expect(foreign).toContain("backend/load-node.ts: node:fs");
  });
});
