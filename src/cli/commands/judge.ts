import { basename } from "node:path";
import type { Command } from "commander";
import { readAnalysis, writeAnalysis } from "../../analysis-node.js";
import { analyze } from "../../analyze.js";
import { replaceTextFile } from "../../io-node.js";
import { judge } from "../../judge/judge.js";
import { readModelFile } from "../../onnx/model-node.js";
import { openBound } from "../../open-bound.js";
import { resolveOptions } from "../../options.js";
import { checkOutputs } from "../../output-paths-node.js";
import { htmlJudgement } from "../../report/html-judgement.js";
import { textJudgement } from "../../report/text-judgement.js";
import type { CriterionName } from "../../sensitivity/index.js";
import { wholeNumber } from "../arguments.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { addDataOptions, type DataOptions, openData } from "../data-options.js";
import { machine } from "../machine.js";
import { analysisRunOptions } from "../saved-analysis.js";
import { jsonText, type Result, run, type Session } from "../session.js";
import { version } from "../version.js";
import { withWayOn } from "../write-quantized.js";

interface Options extends DataOptions, CommonOptions {
  readonly analysis: string;
  readonly output?: string;
  readonly report?: string;
  readonly configurations: number;
}

export function define(command: Command): void {
  addDataOptions(command)
    .argument("<model>", "float ONNX model")
    .requiredOption("--analysis <file>", "what `analyze` saved; the criterion direct is added to it when it lacks it")
    .option("--configurations <n>", "random configurations to measure", wholeNumber, 50)
    .option("-o, --output <file>", "where the judgement goes as JSON")
    .option("--report <file>", "where the page with its plots goes");
  addCommonOptions(command).action((model: string, options: Options) =>
    run(options, (session) => judgeModel(model, options, session)),
  );
}

async function judgeModel(path: string, options: Options, session: Session): Promise<Result> {
  const outputs = [options.output, options.report].filter((file) => file !== undefined);
  await checkOutputs([path, options.data, options.analysis], [...outputs, options.json]);
  const known = await readAnalysis(options.analysis);
  const resolved = resolveOptions(analysisRunOptions(known, options));
  const dataset = await openData(options);
  const model = await readModelFile(path);
  const bound = await openBound(await session.backend(), model, dataset, resolved, known);
  await using workspace = bound.workspace;
  const { onProgress, signal } = session;
  const analysis = await analyze(workspace, {
    criteria: [...(Object.keys(known.criteria) as CriterionName[]), "direct"],
    binding: bound.binding,
    known,
    onPart: (part) => writeAnalysis(part, options.analysis),
    onProgress,
    signal,
  }).catch((error) => {
    throw withWayOn(error, options.analysis);
  });
  const judgement = await judge(workspace, analysis, { configurations: options.configurations, onProgress, signal });
  if (options.output !== undefined) await replaceTextFile(options.output, jsonText(judgement));
  if (options.report !== undefined) {
    const about = { version, model: basename(path), machine: machine() };
    await replaceTextFile(options.report, htmlJudgement(about, judgement));
  }
  const wrote = outputs.map((file) => `wrote ${file}`);
  return { text: [textJudgement(judgement), "", ...wrote].join("\n").trimEnd(), data: judgement };
}
