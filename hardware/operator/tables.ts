// Tables for terminals: columns as wide as they need to be, nothing cut, no trailing spaces. Pure.

export type Column<T> = {
  readonly title: string;
  readonly of: (row: T) => string;
  /** Shown with `-o wide` only. */
  readonly wide?: true;
};

/** A line of titles, then a line for each row. `widths` of an earlier table keep rows that come later in its columns. */
export function formatTable<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  options: { readonly wide: boolean; readonly titles: boolean; readonly widths?: readonly number[] },
): { readonly lines: readonly string[]; readonly widths: readonly number[] } {
  const shown = columns.filter((column) => options.wide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => column.of(row).replaceAll(/\s+/g, ' ')));
  const widths = shown.map((column, i) =>
    Math.max(options.widths?.[i] ?? 0, column.title.length, ...cells.map((line) => line[i]?.length ?? 0)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return { lines: [...(options.titles ? [format(shown.map((column) => column.title))] : []), ...cells.map(format)], widths };
}
