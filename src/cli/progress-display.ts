import type { WriteStream } from "node:tty";
import { type Params, SingleBar } from "cli-progress";
import type { Progress } from "../progress.js";
import { duration } from "../report/units.js";

/** Shows stages on a terminal: a bar with the remaining time for the one that runs, a line for each that has ended. Elsewhere only the lines. */
export class ProgressDisplay {
  readonly #stream: WriteStream;
  readonly #quiet: boolean;
  #stage: { name: string; done: number; started: number; bar: SingleBar } | undefined;

  constructor(stream: WriteStream, quiet: boolean) {
    this.#stream = stream;
    this.#quiet = quiet;
  }

  /** Takes what the stages report. */
  readonly onProgress = ({ stage, done, total, detail = "" }: Progress): void => {
    if (this.#quiet) return;
    if (this.#stage?.name !== stage || done < this.#stage.done) {
      this.end();
      const bar = new SingleBar({
        stream: this.#stream,
        format: line,
        clearOnComplete: true,
        linewrap: false,
        // The session handles signals.
        gracefulExit: false,
      });
      this.#stage = { name: stage, done, started: Date.now(), bar };
      bar.start(total, done, { stage, detail });
    }
    this.#stage.done = done;
    this.#stage.bar.update(done, { stage, detail });
  };

  /** Ends the stage that is shown. */
  end(): void {
    if (this.#stage === undefined) return;
    const { name, done, started, bar } = this.#stage;
    this.#stage = undefined;
    bar.stop();
    this.#stream.write(`${name.padEnd(nameWidth)} ${String(done).padStart(6)}  ${duration(Date.now() - started)}\n`);
  }

  /** Writes a line that stays, above the bar. */
  note(text: string): void {
    this.end();
    if (!this.#quiet) this.#stream.write(`${text}\n`);
  }
}

const nameWidth = 14;
const barWidth = 24;

function line(
  _options: unknown,
  { progress, startTime }: Params,
  { stage, detail }: { stage: string; detail: string },
) {
  const filled = Math.round(progress * barWidth);
  const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
  const percent = `${Math.floor(100 * progress)} %`.padStart(5);
  const left = progress > 0 ? duration(((Date.now() - startTime) * (1 - progress)) / progress) : "?";
  return `${stage.padEnd(nameWidth)} ${bar} ${percent}  ${left} left  ${detail}`;
}
