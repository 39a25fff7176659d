import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeDataset } from "../../examples/shapes/dataset.mjs";
import type { Analysis } from "../../src/analysis.js";
import { openSession } from "../../src/export/session-node.js";
import type { Plan } from "../../src/plan.js";
import { bitwright, type Ended, start } from "../support/cli.js";

const model = fileURLToPath(new URL("../../examples/shapes/shapes.onnx", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "bitwright-cli-"));
const data = join(work, "data", "dataset.json");

beforeAll(() => writeDataset(join(work, "data"), { count: 360 }));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A path in the tests' folder. */
function at(name: string): string {
  return join(work, name);
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(at(name), "utf8")) as T;
}

describe.each(["native", "wasm"])("bitwright quantize on %s", (backend) => {
  it("writes a smaller model inside the limits, with its plan and report", async () => {
    const [output, json] = [at(`${backend}.onnx`), at(`${backend}.json`)];
    const args = [
      model,
      "--data",
      data,
      "--keep",
      "97%",
      "--samples",
      "16",
      "-o",
      output,
      "--json",
      json,
      "--backend",
      backend,
    ];
    const { code, stdout, stderr } = await bitwright("quantize", ...args);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/calibrate.*second moments.*fisher probes.*verify/s),
    });
    expect(stdout).toMatch(/^\/stem\/stem\.0\/Conv +Conv +int[48] /m);
    expect(stdout).toMatch(/^top1 .*kept/m);

    const plan = read<Plan>(`${backend}.plan.json`);
    expect(plan).toMatchObject({
      version: 1,
      target: "ort-cpu",
      method: "curvature",
      limits: { keep: 0.97 },
      before: { metric: "top1", value: expect.any(Number), bytes: statSync(model).size, latencyMs: expect.any(Number) },
      after: { metric: "top1", value: expect.any(Number), bytes: statSync(output).size, latencyMs: expect.any(Number) },
      predicted: { loss: expect.any(Number) },
      verified: { samples: 240, withinBand: true, fusedAsPlanned: true, kl: expect.any(Number) },
      unverified: null,
    });
    expect(plan.after.value! / plan.before.value!).toBeGreaterThanOrEqual(0.97);
    expect(plan.after.bytes).toBeLessThan(0.35 * plan.before.bytes);
    expect(plan.layers).toHaveLength(16);
    expect(plan.search.evaluations).toBe(plan.search.steps.length);
    expect(read<{ plan: Plan }>(`${backend}.json`).plan).toEqual(plan);
    expect(readFileSync(at(`${backend}.report.html`), "utf8")).toContain("Inside the limits");

    // What the plan says of the file is what the file does.
    const evaluated = await bitwright(
      "evaluate",
      output,
      "--data",
      data,
      "--reference",
      model,
      "--json",
      "-",
      "--quiet",
    );
    expect(evaluated.stderr).toBe("");
    const { value, reference } = JSON.parse(evaluated.stdout);
    expect(value).toBe(plan.after.value);
    expect(reference.value).toBe(plan.before.value);
    expect(reference.paired).toMatchObject(plan.verified!.flips!);
  });
});

describe("bitwright evaluate", () => {
  it("judges by a module's metric, and tells how sure the figures are", async () => {
    const metric = at("margin.mjs");
    writeFileSync(
      metric,
      "export default function lead({ output: { data, dims }, samples }) {\n" +
        "  const row = (i) => [...data.slice(i * dims[1], (i + 1) * dims[1])].sort((a, b) => b - a);\n" +
        "  return Array.from({ length: samples }, (_, i) => row(i)[0] - row(i)[1]);\n}\n",
    );
    const args = ["evaluate", model, "--data", data, "--reference", model, "--metric", metric];
    const { code, stdout } = await bitwright(...args, "--quiet", "--json", "-");
    expect(code).toBe(0);
    const { metric: name, value, reference } = JSON.parse(stdout);
    expect(name).toBe("lead");
    expect(value).toBeGreaterThan(0);
    expect(reference).toMatchObject({ value, paired: null, change: { difference: { value: 0, low: 0, high: 0 } } });
    expect((await bitwright(...args)).stdout).toMatch(
      /100\.00 % kept, at least 100\.00 % with 95 % confidence, from 240 samples/,
    );
  });
});

describe("bitwright analyze and search", () => {
  const analysis = at("analysis.json");
  const analyze = ["analyze", model, "--data", data, "--samples", "0:16", "--probes", "2", "-o", analysis];

  it("adds criteria to a saved analysis without measuring the others again", async () => {
    expect(await bitwright(...analyze, "--criteria", "direct")).toMatchObject({ code: 0 });
    const first = read<{ criteria: object; seconds: object }>("analysis.json");
    expect(Object.keys(first.criteria)).toEqual(["direct"]);
    const second = await bitwright(...analyze, "--criteria", "direct,hessian-trace");
    expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining("going on from") });
    expect(second.stderr).not.toMatch(/^(calibrate|direct)/m);
    expect(read("analysis.json")).toEqual({
      ...first,
      criteria: { ...first.criteria, "hessian-trace": expect.any(Object) },
      seconds: { ...first.seconds, "hessian-trace": expect.any(Number) },
    });
  });

  it("refuses an analysis of other options unless it is told to replace it", async () => {
    const before = readFileSync(analysis);
    const refused = await bitwright(...analyze, "--calibration", "minmax");
    expect(refused).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^error\[stale-analysis\].*option calibration/m),
    });
    expect(readFileSync(analysis)).toEqual(before);
    const other = ["analyze", model, "--data", data, "--samples", "4", "--calibration", "minmax"];
    writeFileSync(at("other.json"), before);
    expect(await bitwright(...other, "-o", at("other.json"), "--force")).toMatchObject({ code: 0 });
  });

  it("searches without measuring sensitivities again", async () => {
    const output = at("searched.onnx");
    const args = [
      model,
      "--data",
      data,
      "--analysis",
      analysis,
      "--max-kl",
      "0.02",
      "--search",
      "greedy",
      "-o",
      output,
    ];
    const { code, stderr } = await bitwright("search", ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^greedy/m) });
    expect(stderr).not.toMatch(/^(calibrate|direct|hessian-trace)/m);
    const plan = read<Plan>("searched.plan.json");
    expect(plan.verified!.kl).toBeLessThanOrEqual(0.02);
    expect(plan.after.bytes).toBeLessThan(plan.before.bytes);
  });

  it("searches by default with what is analyzed by default", async () => {
    const saved = at("default.json");
    const analyzed = await bitwright("analyze", model, "--data", data, "--samples", "0:16", "-o", saved);
    expect(analyzed).toMatchObject({ code: 0 });
    const args = ["--data", data, "--analysis", saved, "--max-size", "60%", "--no-verify", "-o", at("default.onnx")];
    expect(await bitwright("search", model, ...args)).toMatchObject({ code: 0 });
    const plan = read<Plan>("default.plan.json");
    expect(plan).toMatchObject({ method: "curvature", verified: null, unmet: [], search: { metric: null } });
    expect(plan.after.bytes).toBeLessThanOrEqual(0.6 * plan.before.bytes);
  });

  it("takes times from a hardware profile, and says so", async () => {
    const [profile, saved] = [at("npu.json"), at("profiled.json")];
    const peaks = { float: 1e9, int8: 16e9 };
    writeFileSync(profile, JSON.stringify({ name: "npu", macsPerSecond: peaks, bytesPerSecond: 4e8, layerMs: 0.001 }));
    const analyzed = await bitwright(
      "analyze",
      model,
      "--data",
      data,
      "--samples",
      "4",
      "-o",
      saved,
      "--profile",
      profile,
    );
    expect(analyzed).toMatchObject({ code: 0, stdout: expect.stringMatching(/float latency .* from the profile npu/) });
    expect(analyzed.stderr).not.toMatch(/^time parts/m);
    const { latency } = read<Analysis>("profiled.json");
    expect(latency).toMatchObject({ profile: "npu", checks: [], borders: [] });

    const search = ["search", model, "--data", data, "--analysis", saved, "--max-latency", "50%"];
    const { code, stdout } = await bitwright(...search, "-o", at("profiled.onnx"));
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/latency of npu .*from a profile, not measured.*the profile npu predicts alone/s),
    });
    const plan = read<Plan>("profiled.plan.json");
    const { floatLatencyMs, latencyMs } = plan.predicted;
    expect(plan.predicted).toMatchObject({
      latencyProfile: "npu",
      latencyError: null,
      floatLatencyMs: latency!.floatMs,
    });
    expect(latencyMs).toBeLessThanOrEqual(0.5 * floatLatencyMs!);
    expect(latencyMs).toBeGreaterThan(0.02 * floatLatencyMs!);
    expect(plan.verified).not.toBeNull();
    expect(readFileSync(at("profiled.report.html"), "utf8")).toContain("from a profile, not measured");

    // Another profile takes the place of the one that the analysis holds.
    writeFileSync(profile, JSON.stringify({ name: "half", macsPerSecond: { float: 1e9 }, bytesPerSecond: 2e8 }));
    const other = ["--profile", profile, "--no-verify", "-o", at("half.onnx")];
    expect(await bitwright(...search, ...other)).toMatchObject({ code: 3 });
    expect(read<Plan>("half.plan.json")).toMatchObject({
      predicted: { latencyProfile: "half" },
      unmet: ["maxLatency"],
    });
  });

  it("does not take a profile's times for measured ones", async () => {
    const [analysis, profile] = [at("timed.analysis.json"), at("fast.json")];
    const macsPerSecond = { float: 1e9, int8: 2e9 };
    writeFileSync(profile, JSON.stringify({ name: "fast", macsPerSecond, bytesPerSecond: 1e9 }));
    const quantize = ["quantize", model, "--data", data, "--samples", "4", "--max-latency", "99%", "--no-verify"];
    const args = [...quantize, "--analysis", analysis, "-o", at("timed.onnx")];
    const profiled = await bitwright(...args, "--profile", profile);
    expect(profiled.stderr).not.toMatch(/^time parts/m);
    expect(read<Plan>("timed.plan.json").predicted.latencyProfile).toBe("fast");
    expect(await bitwright(...args)).toMatchObject({ stderr: expect.stringMatching(/^time /m) });
    expect(read<Plan>("timed.plan.json").predicted.latencyProfile).toBeNull();
    expect(read<Analysis>("timed.analysis.json").latency).not.toHaveProperty("profile");
  });

  it("does not search with a criterion that the analysis lacks", async () => {
    const args = [model, "--data", data, "--analysis", at("other.json"), "--keep", "99%", "--method", "hawq-v2"];
    const { code, stderr } = await bitwright("search", ...args, "-o", at("never.onnx"));
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/criterion\n +expected +curvature\n/) });
  });
});

describe("an interrupted bitwright quantize", () => {
  it("keeps the analysis while it measures, and goes on from it", async () => {
    const output = at("stopped.onnx");
    const args = ["quantize", model, "--data", data, "--keep", "97%", "-o", output];
    const running = start(...args, "--samples", "90");
    await running.says(/^time kernels/m);
    // The analysis is written right after that stage; sensitivities take much longer.
    while (!existsSync(at("stopped.analysis.json"))) await new Promise((resolve) => setTimeout(resolve, 5));
    running.process.kill("SIGINT");
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/error\[aborted\].*stopped\.analysis\.json/s),
    });
    expect(existsSync(output)).toBe(false);
    const resumed = await bitwright(...args, "--samples", "90");
    expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining("going on from") });
    expect(resumed.stderr).not.toMatch(/^calibrate/m);
  });

  it("writes the best so far, unverified, while it searches", async () => {
    const output = at("partial.onnx");
    const args = [
      "quantize",
      model,
      "--data",
      data,
      "--keep",
      "97%",
      "--search",
      "greedy",
      "--samples",
      "8",
      "-o",
      output,
    ];
    // When the search is under way depends on the machine; the analysis is measured once, so that each try starts with the search.
    let ended: Ended | undefined;
    for (const wait of [200, 400, 800, 1600, 3200]) {
      const running = start(...args);
      await running.says(/^fisher probes|going on from/m);
      await new Promise((resolve) => setTimeout(resolve, wait));
      running.process.kill("SIGINT");
      ended = await running.ended;
      if (ended.stdout.includes("stopped before the end")) break;
    }
    expect(ended).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("not verified: the work was stopped before"),
    });
    const plan = read<Plan>("partial.plan.json");
    expect(plan).toMatchObject({
      verified: null,
      unverified: "the work was stopped before",
      search: { stopped: "aborted" },
    });
    const session = await openSession(output);
    await session.release();
  });
});

describe("exit codes and messages", () => {
  it.each<[string, string[], RegExp]>([
    ["no command", [], /Usage: bitwright/],
    ["an unknown command", ["quantise"], /unknown command 'quantise'\n\(Did you mean quantize\?\)/],
    ["an unknown option", ["doctor", "--fast"], /unknown option '--fast'/],
    ["no data set", ["quantize", model, "-o", "q.onnx"], /required option '--data <manifest>' not specified/],
    [
      "no limit",
      ["quantize", model, "--data", data, "-o", at("q.onnx")],
      /^error\[invalid-option\] a limit is missing\n +expected +--keep/,
    ],
    [
      "a wrong share",
      ["quantize", model, "--data", data, "-o", at("q.onnx"), "--keep", "120%"],
      /^error\[invalid-option\] keep: .*\n.*\n +received +"120%"/,
    ],
    ["a wrong choice", ["search", model, "--search", "luck"], /Allowed choices are bisection, greedy/],
    ["a wrong format", ["analyze", model, "--formats", "int8,int3"], /Expected names out of float, .*int8/],
    [
      "an output that is the input",
      ["quantize", model, "--data", data, "--keep", "99%", "-o", model],
      /it would replace an input/,
    ],
    [
      "an output that is the data set's manifest",
      ["analyze", model, "--data", data, "-o", data],
      /it would replace an input/,
    ],
    ["a result that is the input", ["inspect", model, "--json", model], /it would replace an input/],
    [
      "two results of one name",
      ["quantize", model, "--data", data, "--keep", "99%", "-o", at("q.onnx"), "--json", at("q.plan.json")],
      /two results have the same name/,
    ],
    [
      "a model that replaces something else",
      ["quantize", model, "--data", data, "--keep", "99%", "-o", at("data/labels_u8.npy")],
      /expected +a name that ends in \.onnx/,
    ],
    [
      "times both measured and from a profile",
      ["analyze", model, "--data", data, "--latency", "--profile", data, "-o", at("never.json")],
      /--profile.*cannot be used with.*--latency/,
    ],
    ["a result that is a device", ["inspect", model, "--json", "/dev/zero"], /it is a device or a pipe/],
    ["a size of no dimension", ["inspect", model, "--size", "T=4"], /no dimension of this name/],
  ])("2: %s", async (_, args, message) => {
    const { code, stdout, stderr } = await bitwright(...args);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
  });

  it.each<[string, string[], RegExp]>([
    ["a model that is not there", ["inspect", at("none.onnx")], /^error\[io\] .*none\.onnx/],
    ["a model that is none", ["inspect", data], /^error\[invalid-model\]/],
    [
      "a profile that is none",
      ["quantize", model, "--data", data, "--max-latency", "50%", "--profile", data, "-o", at("never.onnx")],
      /^error\[invalid-data\].*dataset\.json/s,
    ],
    ["a manifest that is none", ["evaluate", model, "--data", model], /^error\[invalid-data\]/],
    [
      "a folder that is not there",
      ["quantize", model, "--data", data, "--keep", "99%", "-o", at("no/q.onnx")],
      /^error\[io\]/,
    ],
  ])("1: %s", async (_, args, message) => {
    const { code, stdout, stderr } = await bitwright(...args);
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(message) });
    expect(stderr).not.toContain("    at ");
  });

  it("3: no configuration meets the limits, and the best found is written", async () => {
    const output = at("infeasible.onnx");
    const args = [model, "--data", data, "--max-kl", "1e-300", "--samples", "4", "-o", output];
    const { code, stdout } = await bitwright("quantize", ...args);
    expect({ code, stdout }).toEqual({ code: 3, stdout: expect.stringContaining("NOT within the limits") });
    expect(read<Plan>("infeasible.plan.json").verified!.withinBand).toBe(false);
    expect(statSync(output).size).toBeGreaterThan(0);
  });

  it("ends well when nobody reads its output any more", async () => {
    const running = start("inspect", model, "--json", "-");
    running.process.stdout!.destroy();
    expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
  });

  it.runIf(existsSync("/dev/full"))("1: a standard output that cannot be written", () => {
    const cli = fileURLToPath(new URL("../../dist/bin/bitwright.js", import.meta.url));
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [cli, "inspect", model], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    closeSync(full);
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/^error\[io\] standard output: /) });
  });

  it("leaves no half-written files", () => {
    expect(readdirSync(work).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("bitwright inspect, measure and doctor", () => {
  it("inspects a model", async () => {
    const { code, stdout } = await bitwright("inspect", model, "--json", at("inspect.json"));
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining("the engine supports every operator"),
    });
    const inspection = read<{ layers: { macs: number; bytes: number }[] }>("inspect.json");
    // 12 filters of 3x3x3 at each of 32x32 places.
    expect(inspection).toMatchObject({ bytes: statSync(model).size, unsupported: [], macs: expect.any(Number) });
    expect(inspection.layers[0]).toMatchObject({
      node: "/stem/stem.0/Conv",
      macs: 12 * 27 * 32 * 32,
      bytes: 4 * 12 * 27,
    });
  });

  it("times models against each other", async () => {
    const { code, stdout } = await bitwright(
      "measure",
      model,
      model,
      "--data",
      data,
      "--repeats",
      "3",
      "--json",
      "-",
      "--quiet",
    );
    expect(code).toBe(0);
    const { models } = JSON.parse(stdout);
    expect(models).toHaveLength(2);
    expect(models[0]).toMatchObject({ name: "shapes.onnx", ratio: 1, median: expect.any(Number) });
  });

  it("evaluates in the engine as onnxruntime does", async () => {
    const args = ["evaluate", model, "--data", data, "--split", "all", "--json", "-", "--quiet"];
    const [engine, runtime] = await Promise.all([
      bitwright(...args, "--engine", "--backend", "wasm"),
      bitwright(...args),
    ]);
    const [ours, theirs] = [engine, runtime].map(({ stdout }) => JSON.parse(stdout));
    expect(ours).toEqual({ ...theirs, runtime: "wasm" });
  });

  it("tells what is used and what is missing", async () => {
    const { code, stdout } = await bitwright("doctor");
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^ok +engine in use +(native|wasm)/m) });
  });
});
