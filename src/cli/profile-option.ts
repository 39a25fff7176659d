import { Option } from "commander";

/** Times of a machine that is not at hand. */
export interface ProfileOptions {
  readonly profile?: string;
}

export function profileOption(): Option {
  return new Option("--profile <file>", "times from a hardware profile in JSON, in place of measured ones");
}
