import type { Command } from "commander";
import { doctor } from "../../backend/doctor-node.js";
import { columns } from "../../report/columns.js";
import { addCommonOptions, type CommonOptions } from "../common-options.js";
import { run } from "../session.js";

export function define(command: Command): void {
  addCommonOptions(command).action((options: CommonOptions) =>
    run(options, async () => {
      const findings = await doctor();
      const rows = findings.map(({ subject, ok, detail }) => [ok ? "ok" : "--", subject, detail]);
      const remedies = findings.flatMap(({ subject, remedy }) =>
        remedy === undefined ? [] : [`${subject}: ${remedy}`],
      );
      return {
        text: [...columns(rows), ...(remedies.length > 0 ? ["", ...remedies] : [])].join("\n"),
        data: findings,
        exitCode: findings.some(({ subject, ok }) => subject === "engine in use" && !ok) ? 1 : 0,
      };
    }),
  );
}
