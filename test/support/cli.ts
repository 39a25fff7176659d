import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../dist/bin/bitwright.js", import.meta.url));

/** A run of the command line that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bitwright` as a user's shell would. */
export function bitwright(...args: readonly string[]): Promise<Ended> {
  return start(...args).ended;
}

export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Settles when standard error matches, or the process has ended. */
  says(pattern: RegExp): Promise<void>;
}

/** Starts `bitwright`; the environment is the user's without what this test run has put into it. */
export function start(...args: readonly string[]): Running {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(npm_|BITWRIGHT_|NODE_|VITEST)/i.test(key));
  const child = spawn(process.execPath, [main, ...args], {
    env: Object.fromEntries(inherited),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  const says = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      const look = () => pattern.test(stderr) && resolve();
      child.stderr.on("data", look);
      child.on("close", () => resolve());
      look();
    });
  return { process: child, ended, says };
}
