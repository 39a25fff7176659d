import { demand } from "../given.js";
import type { Backend } from "./backend.js";

/** How quantization has to see an operator's inputs; a port is an input's index. */
export interface OpPorts {
  /** The input that is a weight when it is constant. */
  readonly weightPort: number | null;
  /** The weight's axis of output channels. */
  readonly channelAxis: number | null;
  readonly biasPort: number | null;
  /** Inputs whose activations are multiplied. */
  readonly dataPorts: readonly number[];
}

/** An operator's row in the engine's table; native/ops/op.h explains the fields. */
export interface OpInfo extends OpPorts {
  /** "" is ONNX's own domain. */
  readonly domain: string;
  readonly type: string;
  /** First opset version that the row covers. */
  readonly since: number;
  readonly kind: string;
  readonly differentiable: boolean;
  /** Nodes with shapes that exercise the operator. */
  readonly samples: readonly unknown[];
}

/** The operators that the engine knows. */
export function ops(backend: Backend): OpInfo[] {
  demand("backend", backend);
  return readJson((...text) => backend.call("bw_ops", ...text)) as OpInfo[];
}

/** The sets of kernels that can run on this machine, best first: `avx512/fast`, `avx512/strict`, ... */
export function targets(backend: Backend): string[] {
  demand("backend", backend);
  return readJson((...text) => backend.call("bw_targets", ...text)) as string[];
}

/** A text result of the engine, parsed: asks for its length, then for the text. */
export function readJson(call: (out: Uint8Array, capacity: number, length: Float64Array) => void): unknown {
  const length = new Float64Array(1);
  call(new Uint8Array(0), 0, length);
  const text = new Uint8Array(length[0]!);
  call(text, text.length, length);
  return JSON.parse(new TextDecoder().decode(text));
}
