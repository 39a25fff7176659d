// Prints "<passed> <failed>" for a report: vitest's JSON or ctest's JUnit XML. A missing or unreadable report is one failure.
import { readFileSync } from "node:fs";

function vitest(text) {
  const report = JSON.parse(text);
  // A file that could not even be loaded has no failed test in it.
  const broken = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  return [report.numPassedTests, report.numFailedTests + broken.length];
}

function ctest(text) {
  const [tests, failures] = ["tests", "failures"].map((name) => Number(text.match(`\\s${name}="(\\d+)"`)[1]));
  return [tests - failures, failures];
}

const [file] = process.argv.slice(2);
try {
  const text = readFileSync(file, "utf8");
  console.log(...(file.endsWith(".json") ? vitest(text) : ctest(text)));
} catch (error) {
  console.error(error.message);
  console.log(0, 1);
}
