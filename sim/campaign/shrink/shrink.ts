// Makes a failing scenario smaller (H3.2): delta debugging over each way of making it smaller, again and again, until nothing
// more can go or a bound is reached. Pure but for what it is given: how candidates are tried, and when to stop.
import { writeDocument, type Document } from './document.ts';
import type { Pass } from './passes.ts';

/** Bound: candidates tried together. */
const TOGETHER_MAX = 8;

/** One of several candidates, and when its run was over. */
export type Failing = { readonly index: number; readonly endMs: number };

export type ShrinkOptions = {
  readonly passes: readonly Pass[];
  /** When the run of the document was over, in milliseconds. */
  readonly endMs: number;
  /** The first candidate that fails as the original does; null when none does. */
  readonly firstFailing: (texts: readonly string[]) => Promise<Failing | null>;
  /** Asked before each trial. */
  readonly isOver: () => boolean;
  readonly onSmaller?: (document: Document, pass: string) => void;
};

export async function shrink(document: Document, options: ShrinkOptions): Promise<Document> {
  const search = new Search(document, options);
  let before: Document;
  do {
    before = search.smallest;
    for (const pass of options.passes) await search.narrow(pass);
  } while (search.smallest !== before && !options.isOver());
  return search.smallest;
}

class Search {
  smallest: Document;
  #endMs: number;
  readonly #options: ShrinkOptions;
  /** Bound: one text for each trial. */
  readonly #tried: Set<string>;

  constructor(document: Document, options: ShrinkOptions) {
    this.smallest = document;
    this.#endMs = options.endMs;
    this.#options = options;
    this.#tried = new Set([writeDocument(document)]);
  }

  /** All changes at once, then halves, then quarters, down to one by one. */
  async narrow({ name, changes }: Pass): Promise<void> {
    let left = [...changes(this.smallest, this.#endMs)];
    for (let size = left.length; size >= 1; size = Math.floor(size / 2)) {
      let from = 0;
      while (from < left.length && !this.#options.isOver()) {
        const chunks = Array.from({ length: Math.min(TOGETHER_MAX, Math.ceil((left.length - from) / size)) }, (_, i) => from + i * size);
        const candidates = chunks.map((start) => left.slice(start, start + size).reduce((now, change) => change(now), this.smallest));
        const found = await this.#firstFailing(candidates);
        const document = found === null ? undefined : candidates[found.index];
        if (found === null || document === undefined) {
          from += chunks.length * size;
          continue;
        }
        this.smallest = document;
        this.#endMs = found.endMs;
        this.#options.onSmaller?.(document, name);
        const start = from + found.index * size;
        left = [...left.slice(0, start), ...left.slice(start + size)];
        from = start;
      }
    }
  }

  async #firstFailing(candidates: readonly Document[]): Promise<Failing | null> {
    const fresh: { readonly text: string; readonly index: number }[] = [];
    candidates.forEach((candidate, index) => {
      const text = writeDocument(candidate);
      if (this.#tried.has(text) || fresh.some((other) => other.text === text)) return;
      fresh.push({ text, index });
    });
    if (fresh.length === 0) return null;
    const found = await this.#options.firstFailing(fresh.map(({ text }) => text));
    // What comes after the one that failed was perhaps not tried.
    for (const { text } of fresh.slice(0, found === null ? fresh.length : found.index + 1)) this.#tried.add(text);
    const index = found === null ? undefined : fresh[found.index]?.index;
    return found === null || index === undefined ? null : { index, endMs: found.endMs };
  }
}
