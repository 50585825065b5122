// The mistakes of a file, each with its place: `file:line:column`, the path in the document, what was found, what was
// expected. All of them are told together, up to a bound.
import { isMap, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { ErrorCode } from '../system/domain/errors.ts';
import { rejected, type Err } from '../system/domain/outcome.ts';

/** Bound: mistakes told at once. */
const MISTAKES_TOLD_MAX = 20;

export type Path = readonly (string | number)[];

/** One mistake, with the place that it is told with. */
export type Mistake = { readonly file: string; readonly line: number; readonly column: number; readonly text: string };

/** What a file with mistakes is refused as, and where its fields are described. */
export type SourceKind = {
  readonly code: ErrorCode;
  readonly next: string;
  /** `MISTAKES_TOLD_MAX` when absent. */
  readonly toldMax?: number;
  /** Hears all mistakes of a file that is refused, in the order of the file. */
  readonly onMistakes?: (mistakes: readonly Mistake[]) => void;
};

export const SCENARIO: SourceKind = {
  code: 'WM_SCENARIO_INVALID',
  next: 'Correct the file; docs/reference/scenarios.md describes every field.',
};

/** A YAML file that was parsed, and the mistakes found in it so far. */
export class Source {
  readonly file: string;
  readonly #kind: SourceKind;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #mistakes: { readonly offset: number; readonly text: string }[] = [];

  constructor(file: string, text: string, kind: SourceKind = SCENARIO) {
    this.file = file;
    this.#kind = kind;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const { code, pos, message } of this.#document.errors)
      this.#add(pos[0], code === 'MULTIPLE_DOCS' ? 'a second document begins here, and a file holds one' : `not valid YAML: ${message}`);
    if (!this.faulty) this.#checkAliases();
  }

  /** What shows only when plain values are made of the document: aliases of nothing, and aliases of aliases without end. */
  #checkAliases(): void {
    let first: number | null = null;
    visit(this.#document, {
      Alias: (_, alias) => {
        const offset = rangeStart(alias) ?? 0;
        first ??= offset;
        if (alias.resolve(this.#document) === undefined) this.#add(offset, `the alias *${alias.source} has no anchor before it`);
      },
    });
    if (first === null || this.faulty) return;
    try {
      this.#document.toJS();
    } catch (error) {
      this.#add(first, `not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The document as plain values. */
  value(): unknown {
    return this.#document.toJS() as unknown;
  }

  /** Whether the file itself says something there. */
  has(path: Path): boolean {
    return this.#document.hasIn(path);
  }

  get faulty(): boolean {
    return this.#mistakes.length > 0;
  }

  /** Notes a mistake at the value under `path`, or at its key. */
  mistake(path: Path, text: string, at: 'value' | 'key' = 'value'): void {
    const where = path.length === 0 ? '' : `${describePath(path)}: `;
    this.#add(this.#offsetOf(path, at), `${where}${text}`);
  }

  /** `left`: what was not looked for because of these mistakes. */
  error(left: string | null = null): Err {
    const sorted = [...this.#mistakes]
      .sort((a, b) => a.offset - b.offset)
      .map(({ offset, text }): Mistake => {
        const { line, col } = this.#lines.linePos(offset);
        return { file: this.file, line: Math.max(line, 1), column: Math.max(col, 1), text };
      });
    this.#kind.onMistakes?.(sorted);
    const told = sorted
      .slice(0, this.#kind.toldMax ?? MISTAKES_TOLD_MAX)
      .map(({ file, line, column, text }) => `${file}:${line}:${column}  ${text}`);
    if (sorted.length > told.length) told.push(`and ${sorted.length - told.length} more`);
    if (left !== null) told.push(left);
    return rejected(this.#kind.code, {
      message: `${sorted.length === 1 ? 'One mistake' : `${sorted.length} mistakes`} in ${this.file}:\n${told.map((line) => `  ${line}`).join('\n')}\n`,
      next: this.#kind.next,
      detail: { file: this.file, mistakes: sorted.length },
    });
  }

  #add(offset: number, text: string): void {
    if (!this.#mistakes.some((other) => other.offset === offset && other.text === text)) this.#mistakes.push({ offset, text });
  }

  #offsetOf(path: Path, at: 'value' | 'key'): number {
    let node: unknown = this.#document.contents;
    let offset = rangeStart(node) ?? 0;
    path.forEach((part, i) => {
      const last = i === path.length - 1;
      if (isMap(node)) {
        const pair = node.items.find((item) => String((item.key as { value?: unknown }).value) === String(part));
        if (pair === undefined) return (node = null);
        offset = rangeStart(last && at === 'key' ? pair.key : pair.value) ?? rangeStart(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(part)];
        offset = rangeStart(node) ?? offset;
      } else node = null;
      return undefined;
    });
    return offset;
  }
}

function rangeStart(node: unknown): number | null {
  return (node as Node | null | undefined)?.range?.[0] ?? null;
}

/** What a file holds whose content is no map: `a list`. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'string' ? 'a text' : 'a single value';
}

/** `steps[3].replicas` */
export function describePath(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

/** `did you mean 'x'?` when one of the names is close; the list of names otherwise. */
export function suggest(found: string, names: readonly string[]): string {
  const close = nearest(found, names);
  if (close !== null) return `did you mean '${close}'?`;
  return names.length === 0 ? 'there are none' : `expected one of: ${names.join(', ')}`;
}

/** A mistake where a name is none of these. */
export function known(
  source: Source,
  path: Path,
  what: string,
  name: string,
  names: readonly string[],
  at: 'value' | 'key' = 'value',
): void {
  if (!names.includes(name)) source.mistake(path, `unknown ${what} '${name}'; ${suggest(name, [...new Set(names)])}`, at);
}

/** The name that was probably meant; null when none is close. */
export function nearest(found: string, names: readonly string[]): string | null {
  const close = names.map((name) => ({ name, distance: editDistance(found, name) })).sort((a, b) => a.distance - b.distance)[0];
  return close !== undefined && close.distance <= Math.max(2, Math.floor(found.length / 3)) ? close.name : null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
