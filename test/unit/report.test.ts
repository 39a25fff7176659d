import { describe, expect, it } from "vitest";
import { parseJson } from "../../src/data/json.js";
import { parseAnalysis } from "../../src/parse-analysis.js";
import { searchCharts } from "../../src/report/charts/search-trace.js";
import { sensitivityChart } from "../../src/report/charts/sensitivity.js";
import { htmlReport } from "../../src/report/html.js";
import { type About, reportOf } from "../../src/report/report.js";
import { linearScale, logDomain, logScale, powerLabel } from "../../src/report/svg.js";
import { textReport } from "../../src/report/text.js";
import { bytes, count, digits, duration, metricValue, percent } from "../../src/report/units.js";
import { nodeName, sampleAnalysis, samplePlan } from "../support/plans.js";

const about: About = {
  version: "1.2.3",
  model: "a <model>.onnx",
  output: "out.onnx",
  machine: { processor: "processor", cores: 2, platform: "linux-x64", node: "v20" },
};

function sample(layers: number) {
  return reportOf(about, samplePlan(layers), sampleAnalysis(layers));
}

describe("reportOf", () => {
  it("joins layers with the elements of their weights and counts the formats", () => {
    const { layers, choices } = sample(6);
    expect(layers.map(({ elements }) => elements)).toEqual([100, 200, 300, 400, 500, 600]);
    expect(choices).toEqual([
      { weight: "int8", activation: "int8", layers: 4, elements: 1500 },
      { weight: "int4", activation: "int8", layers: 1, elements: 500 },
      { weight: "float", activation: "float", layers: 1, elements: 100 },
    ]);
  });

  it("lines sensitivities up with the layers", () => {
    const plan = samplePlan(3);
    const { sensitivities } = reportOf(about, { ...plan, layers: plan.layers.toReversed() }, sampleAnalysis(3));
    expect(sensitivities.map(({ criterion, kind, format, costs }) => [criterion, kind, format, costs])).toEqual([
      ["direct", "weight", "int8", [1e-4, 1e-3, 1e-2]],
      ["direct", "weight", "int4", [0.01, 0.1, 1]],
      ["direct", "activation", "int8", [1e-3, 1e-2, 0.1]],
    ]);
  });

  it("has null where a layer cannot take a format", () => {
    const analysis = sampleAnalysis(2);
    const { direct } = analysis.criteria;
    const { [`${nodeName(0)}/activation`]: _, ...others } = direct!;
    const { sensitivities } = reportOf(about, samplePlan(2), { ...analysis, criteria: { direct: others } });
    expect(sensitivities.find(({ kind }) => kind === "activation")!.costs[0]).toBeNull();
  });
});

describe("htmlReport", () => {
  const page = htmlReport(sample(30));

  it("needs nothing from elsewhere", () => {
    expect(page).not.toMatch(/\b(?:src|href|srcset)=|@import|url\(|https?:/);
    expect([...page.matchAll(/<script[^>]*>/g)].map(([tag]) => tag)).toEqual([
      '<script type="application/json" id="report">',
    ]);
  });

  it("carries its data, whatever the names of nodes are", () => {
    const [, json] = /<script type="application\/json" id="report">(.*)<\/script>/s.exec(page)!;
    expect(JSON.parse(json!)).toEqual(sample(30));
    expect(page.split("</script>")).toHaveLength(2);
    expect(page).not.toContain("<b>");
  });

  it("has well-formed elements", () => {
    const open: string[] = [];
    const void_ = new Set(["meta", "!doctype", "wbr"]);
    for (const [, close, name] of page.replace(/<style>.*?<\/style>/s, "").matchAll(/<(\/?)([!a-zA-Z0-9]+)[^>]*>/g)) {
      if (close === "") {
        if (!void_.has(name!.toLowerCase())) open.push(name!);
      } else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("shows every layer, the figures and what the clean-up changed", () => {
    const body = page.replace(/<script.*<\/script>/s, "").replaceAll("<wbr>", "");
    for (let i = 0; i < 30; i++) expect(body).toContain(`<td>reason ${i}</td>`);
    for (const text of ["75.00 %", "74.50 %", "4.00 MB", "1.00 MB", "Inside the limits", "fold-constants: 1 change"])
      expect(body).toContain(text);
  });

  it("says why a model is not verified", () => {
    const report = sample(3);
    const plan = { ...report.plan, verified: null, unverified: "onnxruntime-node cannot be loaded" };
    const unverified = htmlReport({ ...report, plan });
    expect(unverified).toContain(
      "<strong>Not verified</strong><p>onnxruntime-node cannot be loaded. So far: top1 75.00 % float, 74.80 % quantized",
    );
  });
});

describe("sensitivityChart", () => {
  it("draws a bar for every layer and format, taller for higher costs, and the strip of choices", () => {
    const chart = sensitivityChart(sample(6));
    const panels = chart.split('class="panel"').slice(1);
    expect(panels).toHaveLength(3);
    const heights = [...panels[1]!.matchAll(/<rect class="int4(?: pale)?"[^>]*? height="([\d.]+)"/g)]
      .slice(0, 6)
      .map(([, height]) => Number(height));
    expect(heights[0]).toBeGreaterThan(heights[1]!);
    expect(heights[3]).toBeGreaterThan(heights[4]!);
    expect(heights[5]).toBe(heights[0]);
    // Three panels and two strips of six.
    expect(chart.match(/<rect/g)).toHaveLength(30);
    // Layers 1 to 3 and 5 take int8 weights, layer 4 int4: pale is what is not taken.
    expect(chart.match(/class="int8 pale"/g)).toHaveLength(2 + 1);
    expect(chart.match(/class="int4 pale"/g)).toHaveLength(5);
  });

  it("grows with the number of layers instead of losing them", () => {
    const chart = sensitivityChart(sample(500));
    expect(chart.match(/<rect/g)).toHaveLength(5 * 500);
    expect(Number(/ width="(\d+)"/.exec(chart)![1])).toBeGreaterThan(3000);
  });
});

describe("searchCharts", () => {
  it("marks each configuration by its verdict and draws both limits", () => {
    const charts = searchCharts(sample(3));
    expect(charts).toHaveLength(2);
    for (const chart of charts) {
      expect(chart.match(/class="inside"/g)).toHaveLength(2);
      expect(chart.match(/class="outside"/g)).toHaveLength(1);
      expect(chart.match(/class="limit"/g)).toHaveLength(1);
    }
    expect(charts[1]).toContain("limit 74.25 %");
  });
});

describe("textReport", () => {
  it("lists every layer of a short model", () => {
    const text = textReport(sample(4));
    for (let i = 0; i < 4; i++) expect(text).toContain(`reason ${i}`);
  });

  it("sums a long model up by formats and lists the exceptions", () => {
    const text = textReport(sample(40));
    expect(text).toMatch(/^int8 +int8 +30 layers/m);
    expect(text).toMatch(/^int4 +int8 +9 layers/m);
    expect(text).toContain("reason 4");
    expect(text).not.toContain("reason 5");
    expect(textReport(sample(40), { verbose: true })).toContain("reason 5");
  });

  it("says what the samples show", () => {
    const text = textReport(sample(4));
    expect(text).toMatch(
      /top1 +75\.00 % +74\.50 % +99\.33 % kept, at least 9\d\.\d\d % with 95 % confidence; 6 answers lost, 4 gained of 400/,
    );
    expect(text).toMatch(/size +4\.00 MB +1\.00 MB +25\.0 %/);
    expect(text).toMatch(/latency +2\.00 ms +1\.00 ms +0\.50 x/);
    expect(text).not.toContain("saturate");
  });

  it("says that kernels saturate, as the page does", () => {
    const report = sample(4);
    const { verified } = report.plan;
    const saturating = { ...report, plan: { ...report.plan, verified: { ...verified!, saturates: true } } };
    expect(textReport(saturating)).toContain("kernels saturate with int8 weights of more than 7 bits");
    expect(htmlReport(saturating)).toContain("<dt>saturation</dt>");
    expect(htmlReport(report)).not.toContain("<dt>saturation</dt>");
  });
});

describe("parseAnalysis", () => {
  const parse = (change: (analysis: Record<string, unknown>) => void) => {
    const analysis = structuredClone(sampleAnalysis(2)) as unknown as Record<string, unknown>;
    change(analysis);
    return parseAnalysis(parseJson(JSON.stringify(analysis), "a.json"));
  };

  it("gives back what was saved", () => {
    expect(parse(() => {})).toEqual(sampleAnalysis(2));
  });

  it.each<[string, (analysis: Record<string, unknown>) => void]>([
    ["version", (analysis) => (analysis.version = 1)],
    ["binding.model", (analysis) => (analysis.binding = { ...(analysis.binding as object), model: 1 })],
    ["ranges.x", (analysis) => (analysis.ranges = { x: [0] })],
    ["sites[0].kind", (analysis) => ((analysis.sites as Record<string, unknown>[])[0]!.kind = "other")],
    ["criteria.nonsense", (analysis) => (analysis.criteria = { nonsense: {} })],
    ["criteria.direct.a.cost.int3", (analysis) => (analysis.criteria = { direct: { a: { cost: { int3: 1 } } } })],
    ["criteria.direct.a.cost.int8", (analysis) => (analysis.criteria = { direct: { a: { cost: { int8: null } } } })],
  ])("refuses a wrong %s", (path, change) => {
    expect(() => parse(change)).toThrow(expect.objectContaining({ code: "invalid-data", where: `a.json, ${path}` }));
  });
});

describe("units", () => {
  it.each([
    [bytes(999), "999 B"],
    [bytes(1000), "1.00 kB"],
    [bytes(999_499), "999 kB"],
    [bytes(999_500), "1.00 MB"],
    [bytes(13_971_085), "14.0 MB"],
    [bytes(3_000_000_000), "3.00 GB"],
    [percent(0.99567), "99.57 %"],
    [duration(412), "412 ms"],
    [duration(3210), "3.2 s"],
    [duration(59_999), "1 min 0 s"],
    [duration(3_725_000), "1 h 2 min"],
    [count(1_500_000), "1.50 M"],
    [digits(0), "0"],
    [digits(0.00012345), "1.2e-4"],
    [digits(123.4), "123"],
    [metricValue("top5", 0.5), "50.00 %"],
    [metricValue("perplexity", 4.0241), "4.0241"],
  ])("%s", (written, expected) => {
    expect(written).toBe(expected);
  });
});

describe("scales", () => {
  it("puts ticks at round figures inside the domain", () => {
    expect(linearScale([0.1, 9.9], [0, 100], 5).ticks).toEqual([2, 4, 6, 8]);
    expect(linearScale([-0.25, 0.25], [0, 100], 5).ticks.map((tick) => tick + 0)).toEqual([-0.2, -0.1, 0, 0.1, 0.2]);
    expect(logScale([0.002, 30], [0, 100], 10).ticks.map(powerLabel)).toEqual([
      "10⁻³",
      "10⁻²",
      "10⁻¹",
      "10⁰",
      "10¹",
      "10²",
    ]);
  });

  it("maps the ends of the domain to the ends of the range", () => {
    const linear = linearScale([2, 4], [10, 20], 5);
    expect([linear.at(2), linear.at(3), linear.at(4)]).toEqual([10, 15, 20]);
    const log = logScale([0.01, 100], [0, 100], 10);
    expect([log.at(0), log.at(0.01), log.at(1), log.at(100)]).toEqual([0, 0, 50, 100]);
  });

  it("keeps the domain of a logarithm above zero and within its decades", () => {
    expect(logDomain([0, 1e-12, 1], 6)).toEqual([1e-6, 1]);
    expect(logDomain([0, Number.NaN], 6)).toEqual([1e-6, 1]);
  });
});
