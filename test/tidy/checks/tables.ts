// Reads the tables of documents.

export type Row = { readonly line: number; readonly cells: readonly string[] };

/** Rows of all tables of a Markdown text, headings and rules left out. */
export function rowsOf(markdown: string): readonly Row[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, i) => {
    if (!line.startsWith('|') || isRule(line) || isRule(lines[i + 1] ?? '')) return [];
    const cells = line
      .trim()
      .replace(/^\|/, '')
      .replace(/\|$/, '')
      .split(/(?<!\\)\|/);
    return [{ line: i + 1, cells: cells.map((cell) => cell.trim().replaceAll('\\|', '|')) }];
  });
}

function isRule(line: string): boolean {
  return /^\|[\s:|-]+\|$/.test(line.trim());
}

/** `text` between backticks becomes text. */
export function plain(cell: string): string {
  return cell.replaceAll('`', '').trim();
}
