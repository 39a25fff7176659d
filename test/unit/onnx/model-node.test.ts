import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BitwrightError } from "../../../src/errors.js";
import { cloneMessage } from "../../../src/onnx/clone.js";
import { TensorProto_DataLocation, TensorProtoSchema } from "../../../src/onnx/generated/onnx_pb.js";
import { readTensor } from "../../../src/onnx/initializer.js";
import { rawBlocks, rawLength, setLazyBytes } from "../../../src/onnx/lazy-bytes.js";
import { readModel, storedBytes, writeModel } from "../../../src/onnx/model.js";
import { modelFileBytes, readModelFile, writeModelFile, writtenLike } from "../../../src/onnx/model-node.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitwright-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

const weights = randomTensor([32, 32], 7);

function matmulModel() {
  return buildModel(17).input("x", [1, 32]).constant("w", weights).node("MatMul", ["x", "w"], ["y"]).output("y");
}

function externalModel(location: string, entries: Record<string, string> = {}) {
  const pairs = { location, ...entries };
  const w = create(TensorProtoSchema, {
    name: "w",
    dataType: 1,
    dims: [32n, 32n],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(pairs).map(([key, value]) => ({ key, value })),
  });
  return buildModel(17).input("x", [1, 32]).constant("w", w).node("MatMul", ["x", "w"], ["y"]).output("y").bytes();
}

const weightBytes = new Uint8Array(weights.data.buffer);

describe("readModelFile", () => {
  it("reads what writeModelFile wrote, and leaves nothing else behind", async () => {
    const path = join(folder, "model.onnx");
    const bytes = matmulModel().bytes();
    await writeModelFile(readModel(bytes), path);
    expect(new Uint8Array(await readFile(path))).toEqual(bytes);
    expect(await readdir(folder)).toEqual(["model.onnx"]);
    expect(writeModel(await readModelFile(path))).toEqual(bytes);
  });

  it("reads external data beside the model, at an offset", async () => {
    await writeFile(join(folder, "weights.bin"), Buffer.concat([Buffer.alloc(5), weightBytes, Buffer.alloc(3)]));
    await writeFile(
      join(folder, "model.onnx"),
      externalModel("weights.bin", { offset: "5", length: `${weightBytes.length}` }),
    );
    const model = await readModelFile(join(folder, "model.onnx"));
    expect(readTensor(model.graph.initializer[0]!)).toEqual(weights);
    expect(writeModel(model)).toEqual(matmulModel().bytes());
  });

  it("does not wait for a pipe to be written to", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await writeFile(join(folder, "model.onnx"), externalModel("pipe"));
    for (const path of [pipe, join(folder, "model.onnx")]) {
      await expect(readModelFile(path)).rejects.toMatchObject({ code: "io", summary: "not a regular file" });
    }
  });

  it("follows a cache that keeps the model and its data as links into one folder", async () => {
    await mkdir(join(folder, "blobs"));
    await mkdir(join(folder, "snapshot"));
    await writeFile(join(folder, "blobs", "a"), externalModel("weights.bin"));
    await writeFile(join(folder, "blobs", "b"), weightBytes);
    await symlink(join("..", "blobs", "a"), join(folder, "snapshot", "model.onnx"));
    await symlink(join("..", "blobs", "b"), join(folder, "snapshot", "weights.bin"));
    const model = await readModelFile(join(folder, "snapshot", "model.onnx"));
    expect(readTensor(model.graph.initializer[0]!)).toEqual(weights);
  });

  it("refuses data outside of the model's folder", async () => {
    await mkdir(join(folder, "models"));
    await writeFile(join(folder, "secret.bin"), weightBytes);
    await symlink(join(folder, "secret.bin"), join(folder, "models", "link.bin"));
    const path = join(folder, "models", "model.onnx");
    for (const location of ["../secret.bin", "a/../../secret.bin", join(folder, "secret.bin"), "link.bin", "..", "."]) {
      await writeFile(path, externalModel(location));
      await expect(readModelFile(path), location).rejects.toMatchObject({
        code: "invalid-model",
        message: expect.stringContaining("outside of the model's folder"),
      });
    }
  });

  it("refuses data that ends too early or is placed by nonsense", async () => {
    const path = join(folder, "model.onnx");
    await writeFile(join(folder, "weights.bin"), weightBytes.subarray(0, 100));
    for (const entries of [{}, { length: "4096" }, { offset: "99999" }, { offset: "-1" }, { length: "1e99" }]) {
      await writeFile(path, externalModel("weights.bin", entries as Record<string, string>));
      await expect(readModelFile(path)).rejects.toMatchObject({ code: "invalid-model" });
    }
  });

  it("leaves large data in its file until it is used, and notices when the file changes", async () => {
    const path = join(folder, "model.onnx");
    const data = join(folder, "weights.bin");
    await writeFile(data, weightBytes);
    await writeFile(path, externalModel("weights.bin"));
    const eager = await readModelFile(path);
    const lazy = await readModelFile(path, { lazyFrom: 1 });
    const [w] = lazy.graph.initializer;
    expect(rawLength(w!)).toBe(weightBytes.length);
    expect(Buffer.concat([...rawBlocks(w!, 1000)])).toEqual(Buffer.from(weightBytes));
    expect(readTensor(w!).data).toEqual(weights.data);
    expect(writeModel(lazy)).toEqual(writeModel(eager));
    const { graph } = await readModelFile(path, { lazyFrom: 1 });
    await writeFile(data, weightBytes.subarray(0, 100));
    expect(() => readTensor(graph.initializer[0]!).data).toThrowError(
      expect.objectContaining({ code: "io", where: data }),
    );
    await rm(data);
    expect(() => readTensor(graph.initializer[0]!).data).toThrowError(expect.objectContaining({ code: "io" }));
  });

  it("refuses tensors that share a part of their data, and takes those that share all of it", async () => {
    const path = join(folder, "model.onnx");
    await writeFile(join(folder, "weights.bin"), Buffer.concat([weightBytes, weightBytes]));
    const twoTensors = (offset: number) => {
      const place = (name: string, at: number) =>
        create(TensorProtoSchema, {
          name,
          dataType: 1,
          dims: [32n, 32n],
          dataLocation: TensorProto_DataLocation.EXTERNAL,
          externalData: Object.entries({ location: "weights.bin", offset: `${at}`, length: "4096" }).map(
            ([key, value]) => ({ key, value }),
          ),
        });
      const model = buildModel(17).input("x", [1, 32]).constant("v", place("v", 0)).constant("w", place("w", offset));
      return model.node("MatMul", ["x", "v"], ["y"]).node("MatMul", ["y", "w"], ["z"]).output("z").bytes();
    };
    for (const offset of [0, 4096]) {
      await writeFile(path, twoTensors(offset));
      expect((await readModelFile(path)).graph.initializer).toHaveLength(2);
    }
    await writeFile(path, twoTensors(2048));
    await expect(readModelFile(path)).rejects.toMatchObject({
      code: "invalid-model",
      where: 'tensor "w"',
      message: expect.stringContaining("overlaps"),
    });
  });

  it("says which file is missing", async () => {
    const path = join(folder, "model.onnx");
    await expect(readModelFile(path)).rejects.toMatchObject({ code: "io", where: path });
    await writeFile(path, externalModel("weights.bin"));
    await expect(readModelFile(path)).rejects.toMatchObject({ code: "io" });
    await expect(readModelFile(folder)).rejects.toMatchObject({ code: "io" });
  });
});

describe("writeModelFile", () => {
  it("moves weights to a second file above the limit", async () => {
    const path = join(folder, "model.onnx");
    const model = matmulModel().build();
    const before = writeModel(model);
    await writeModelFile(model, path, { externalAbove: 1000 });
    expect(await readdir(folder)).toEqual(["model.onnx", "model.onnx.data"]);
    expect((await readFile(path)).length).toBeLessThan(1000);
    expect(writeModel(await readModelFile(path))).toEqual(before);
    expect(writeModel(model)).toEqual(before);
  });

  it("keeps the old file when writing fails", async () => {
    const path = join(folder, "model.onnx");
    await writeFile(path, "old");
    const model = matmulModel().build();
    setLazyBytes(model.graph.initializer[0]!, {
      length: weightBytes.length,
      read() {
        throw new BitwrightError("io", "gone");
      },
    });
    await expect(writeModelFile(model, path, { externalAbove: 1000 })).rejects.toMatchObject({ code: "io" });
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["model.onnx"]);
  });

  it("replaces a pair so that the old one is whole until the new one is", async () => {
    const path = join(folder, "model.onnx");
    const write = (seed: number) => {
      const other = randomTensor([32, 32], seed);
      const model = buildModel(17).input("x", [1, 32]).constant("w", other).node("MatMul", ["x", "w"], ["y"]);
      return writeModelFile(model.output("y").build(), path, { externalAbove: 1000 });
    };
    const weightsNow = async () => readTensor((await readModelFile(path)).graph.initializer[0]!);
    await write(1);
    expect(await readdir(folder)).toEqual(["model.onnx", "model.onnx.data"]);
    // What is there when the process dies before the last step: the old model, its data, and the new data under another name.
    await writeFile(`${path}.1.data`, "half of it");
    expect(await weightsNow()).toEqual(randomTensor([32, 32], 1));
    await write(2);
    expect(await weightsNow()).toEqual(randomTensor([32, 32], 2));
    expect((await readdir(folder)).sort()).toEqual(["model.onnx", "model.onnx.1.data", "model.onnx.2.data"]);
    await write(3);
    expect(await weightsNow()).toEqual(randomTensor([32, 32], 3));
    // A model in one file leaves no data behind.
    await writeModelFile(matmulModel().build(), path);
    expect((await readdir(folder)).sort()).toEqual(["model.onnx", "model.onnx.1.data"]);
  });

  it("writes what is made of a model with external data alike, and one file where nothing is large", async () => {
    const [path, other] = [join(folder, "model.onnx"), join(folder, "other.onnx")];
    await writeModelFile(matmulModel().build(), path);
    expect(writtenLike(await readModelFile(path))).toEqual({});
    await writeModelFile(matmulModel().build(), path, { externalAbove: 1000 });
    const external = await readModelFile(path);
    const sizes = await Promise.all([path, `${path}.data`].map(async (file) => (await stat(file)).size));
    expect(external.bytes).toBe(sizes[0]! + sizes[1]!);
    expect(external.bytes).toBe(await modelFileBytes(path));
    await writeModelFile(matmulModel().build(), other, writtenLike(external));
    const small = buildModel(17)
      .input("x", [1])
      .constant("w", randomTensor([1], 1))
      .node("Add", ["x", "w"], ["y"]);
    await writeModelFile(small.output("y").build(), join(folder, "small.onnx"), writtenLike(external));
    const files = ["model.onnx", "model.onnx.data", "other.onnx", "other.onnx.data", "small.onnx"];
    expect((await readdir(folder)).sort()).toEqual(files);
  });

  it("never asks for a tensor before the one in front of it is written", async () => {
    const asked: string[] = [];
    const builder = buildModel(17).input("x", [1, 32]);
    for (const name of ["v", "w"]) builder.constant(name, weights).node("MatMul", ["x", name], [`y${name}`]);
    const model = builder.output("yv").output("yw").build();
    for (const tensor of model.graph.initializer) {
      const read = () => {
        asked.push(tensor.name);
        return weightBytes;
      };
      setLazyBytes(tensor, { length: weightBytes.length, read });
    }
    const copy = cloneMessage(model.proto);
    expect(storedBytes(copy)).toBe(2 * weightBytes.length);
    expect(asked).toEqual([]);
    await writeModelFile({ proto: copy, graph: copy.graph! }, join(folder, "model.onnx"), { externalAbove: 1000 });
    expect(asked).toEqual(["v", "w"]);
  });
});
