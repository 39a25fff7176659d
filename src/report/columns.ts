/** Rows of text under each other, columns as wide as their longest entry; the last one ends where it ends. */
export function columns(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column]! + gap))
      .join("")
      .trimEnd(),
  );
}
