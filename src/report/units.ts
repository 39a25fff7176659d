// Figures as people read them.

/** `3.5 MB`: decimal units, as file managers and download pages count. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 999_500) return `${digits(count / 1e3)} kB`;
  return count < 999_500_000 ? `${digits(count / 1e6)} MB` : `${digits(count / 1e9)} GB`;
}

/** A share of one: `99.57 %`. */
export function percent(share: number, decimals = 2): string {
  return `${(100 * share).toFixed(decimals)} %`;
}

/** A time in milliseconds, for people who wait: `340 ms`, `3.2 s`, `4 min 10 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A time in milliseconds, measured: `0.412 ms`. */
export function milliseconds(value: number): string {
  return `${digits(value)} ms`;
}

/** A count with an SI prefix: `4.1 M`. */
export function count(value: number): string {
  if (value < 1000) return String(value);
  const [scale, prefix] = value < 999_500 ? [1e3, "k"] : value < 999_500_000 ? [1e6, "M"] : [1e9, "G"];
  return `${digits(value / scale)} ${prefix}`;
}

/** Three significant digits, or all before the point. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return value.toExponential(1);
  return size >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const shares = /^(top\d*|topk|accuracy|f1|agreement)/;

/** A metric's figure: shares as percentages. */
export function metricValue(metric: string, value: number): string {
  return shares.test(metric) ? percent(value) : value.toPrecision(5);
}

/** `1 layer`, `2 layers`. */
export function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
