import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { BitwrightError } from "../../../src/errors.js";
import { cloneMessage } from "../../../src/onnx/clone.js";
import { StringStringEntryProtoSchema } from "../../../src/onnx/generated/onnx_pb.js";
import { readModel, writeModel } from "../../../src/onnx/model.js";
import { buildModel } from "../../support/model-builder.js";
import { randomTensor } from "../../support/tensors.js";

function convModel() {
  const builder = buildModel(17)
    .input("x", ["N", 3, 8, 8])
    .constant("w", randomTensor([4, 3, 3, 3], 1))
    .node("Conv", ["x", "w"], ["c"], { pads: [1n, 1n, 1n, 1n], kernel_shape: [3n, 3n] })
    .node("LeakyRelu", ["c"], ["y"], { alpha: 0 })
    .output("y", ["N", 4, 8, 8]);
  builder.proto.metadataProps.push(create(StringStringEntryProtoSchema, { key: "author", value: "" }));
  return builder;
}

describe("readModel and writeModel", () => {
  it("give back the bytes they were given", () => {
    const bytes = convModel().bytes();
    expect(writeModel(readModel(bytes))).toEqual(bytes);
  });

  it("keep explicit zeros and fields of later versions", () => {
    // Field 9999 of ModelProto, and of the graph inside it, stand for fields that this schema does not know.
    const unknown = new BinaryWriter().tag(9999, WireType.LengthDelimited).string("later").finish();
    const inner = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(unknown).finish();
    const bytes = Uint8Array.from([...convModel().bytes(), ...unknown]);
    expect(writeModel(readModel(bytes))).toEqual(bytes);

    // A second graph field merges into the first one, as protocol buffers define.
    const merged = readModel(Uint8Array.from([...convModel().bytes(), ...inner]));
    const text = Buffer.from(writeModel(merged)).toString("latin1");
    expect(text).toContain("later");
  });

  it("do not copy tensor data when reading", () => {
    const bytes = convModel().bytes();
    const model = readModel(bytes);
    expect(model.graph.initializer[0]!.rawData.buffer).toBe(bytes.buffer);
  });

  it("refuse what is not a model", () => {
    const bytes = convModel().bytes();
    const bad: [string, Uint8Array][] = [
      ["empty", new Uint8Array(0)],
      ["text", new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:0")],
      ["zeros", new Uint8Array(1000)],
      ["truncated", bytes.subarray(0, bytes.length >> 1)],
    ];
    for (const [what, content] of bad) {
      expect(() => readModel(content), what).toThrowError(BitwrightError);
    }
  });

  it("end in a model or in an error of their own on every truncation and on flipped bytes", () => {
    const bytes = convModel().bytes();
    const outcomes = { model: 0, error: 0 };
    const attempt = (content: Uint8Array) => {
      try {
        readModel(content);
        outcomes.model++;
      } catch (error) {
        expect(error).toBeInstanceOf(BitwrightError);
        expect((error as BitwrightError).code).toBe("invalid-model");
        outcomes.error++;
      }
    };
    for (let length = 0; length < bytes.length; length++) attempt(bytes.subarray(0, length));
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [0x01, 0x08, 0x80]) {
        const flipped = bytes.slice();
        flipped[at]! ^= bit;
        attempt(flipped);
      }
    }
    expect(outcomes.error).toBeGreaterThan(bytes.length / 2);
    expect(outcomes.model).toBeGreaterThan(0);
  });
});

describe("cloneMessage", () => {
  it("gives a model that can be edited alone, sharing the weights", () => {
    const model = readModel(convModel().bytes());
    const before = writeModel(model);
    const copy = cloneMessage(model.proto);
    copy.graph!.node[0]!.input[0] = "other";
    copy.graph!.node.pop();
    copy.graph!.initializer[0]!.name = "renamed";
    expect(writeModel(model)).toEqual(before);
    expect(copy.graph!.initializer[0]!.rawData).toBe(model.graph.initializer[0]!.rawData);
    // Fields that are not set still read as their defaults.
    expect(copy.docString).toBe("");
  });
});
