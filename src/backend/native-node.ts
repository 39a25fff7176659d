import { createRequire } from "node:module";
import { totalmem } from "node:os";
import { checkArguments, checkVersion, engineError, type FunctionName } from "./abi.js";
import type { Backend } from "./backend.js";

/** What native/addon.cc exports: null is BW_OK. */
interface Addon {
  readonly sync: Record<FunctionName, (...args: Values) => Failure | null> & { bw_abi_version(): number };
  readonly async: Record<FunctionName, (...args: Values) => Promise<Failure | null>>;
}

type Values = readonly (number | ArrayBufferView)[];

interface Failure {
  readonly status: number;
  readonly details: string;
}

/** What is left is for JavaScript, onnxruntime and the system. */
const engineShare = 0.75;

/** Bytes of memory that this process may use: the machine's, or what a container is given of it. */
function usableMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}

/** Loads the compiled addon at `path`. Throws what Node throws when there is none or it does not fit this machine. */
export function loadNative(path: string): Backend {
  const addon = createRequire(import.meta.url)(path) as Addon;
  checkVersion(addon.sync.bw_abi_version());
  return {
    name: "native",
    memory: Math.floor(engineShare * usableMemory()),
    call(name, ...args) {
      checkArguments(name, args);
      const failure = addon.sync[name](...args);
      if (failure !== null) throw engineError(failure.status, failure.details);
    },
    async callAsync(name, ...args) {
      checkArguments(name, args);
      const failure = await addon.async[name](...args);
      if (failure !== null) throw engineError(failure.status, failure.details);
    },
  };
}
