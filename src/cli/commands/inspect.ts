import { type Command, InvalidArgumentError, Option } from "commander";
import { openDataset } from "../../data/open-node.js";
import { type TargetName, targets } from "../../export/targets/index.js";
import { inspect } from "../../inspect.js";
import { readModelFile } from "../../onnx/model-node.js";
import { defaults } from "../../options.js";
import { checkOutputs } from "../../output-paths-node.js";
import { textInspection } from "../../report/text-inspection.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { run } from "../session.js";

interface Options extends CommonOptions {
  readonly target: TargetName;
  readonly size?: Record<string, number>;
  readonly data?: string;
}

export function define(command: Command): void {
  command
    .argument("<model>", "ONNX model")
    .addOption(
      new Option("--target <name>", "engine whose choices are shown")
        .choices(Object.keys(targets))
        .default(defaults.target),
    )
    .option("--size <name=n>", "size of a dimension that the model leaves open; may be repeated", addSize)
    .option("--data <manifest>", "data set whose constant inputs decide which branch an If takes");
  addCommonOptions(command).action((path: string, { target, size: sizes = {}, data, ...options }: Options) =>
    run(options, async (session) => {
      await checkOutputs([path], [options.json]);
      const model = await readModelFile(path);
      const { bytes } = model;
      const given = data === undefined ? undefined : (await openDataset(data)).constants;
      const inspection = await inspect(await session.backend(), model, { target, bytes, sizes, given });
      return { text: textInspection(inspection), data: inspection };
    }),
  );
}

function addSize(text: string, known: Record<string, number> = {}): Record<string, number> {
  const [, name, size] = /^(.+)=([1-9]\d*)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("Expected a name and a size such as sequence=128.");
  return { ...known, [name]: Number(size) };
}
