// Two plays of one seed, compared as the second goes. The first play leaves, for every event and every note, 32 bits of the
// digest, the time and what it was (16 bytes, in chunks of typed arrays, and the texts of notes up to a bound); the second
// stops at the first difference and names both sides. A replay could not: what differs between plays may differ again.
// Bounds: OBSERVATIONS_MAX, past which only the final digests can be compared; LABELS_MAX and NOTE_CHARS_MAX, past which a
// difference is still found but one side of it has no text.
import type { History } from './history.ts';
import type { Observer } from './observer.ts';
import { placeOf } from './place.ts';

/** Bound: events and notes of the first play that are remembered (512 MiB at 16 bytes each). */
export const OBSERVATIONS_MAX = 32 * 1024 * 1024;
/** Bound: different (machine, label) pairs whose texts are remembered. */
export const LABELS_MAX = 1024 * 1024;
/** Bound: characters of notes that are remembered. */
export const NOTE_CHARS_MAX = 64 * 1024 * 1024;
const CHUNK = 65_536;
/** Events of the chain that a difference is explained with. */
const CHAIN_EVENTS_MAX = 12;

type Chunk = { readonly words: Uint32Array; readonly micros: Float64Array; readonly texts: Uint32Array };

/** What one play observed, in order. */
export class Recording implements Observer {
  readonly wantsOrigins = false;
  readonly #chunks: Chunk[] = [];
  /** By machine, then by text. */
  readonly #ids = new Map<string, Map<string, number>>();
  readonly #labels: string[] = ['(a label past the bound)'];
  readonly #notes = new Map<number, string>();
  #noteChars = 0;
  size = 0;

  observe(_step: number, micros: number, machine: string, kind: 'event' | 'note', text: string, word: number): null {
    if (this.size === OBSERVATIONS_MAX) return null;
    const slot = this.size % CHUNK;
    if (slot === 0) {
      this.#chunks.push({ words: new Uint32Array(CHUNK), micros: new Float64Array(CHUNK), texts: new Uint32Array(CHUNK) });
    }
    const chunk = this.#chunks[this.#chunks.length - 1] as Chunk;
    chunk.words[slot] = word;
    chunk.micros[slot] = micros;
    if (kind === 'event') {
      chunk.texts[slot] = this.#idOf(machine, text);
    } else {
      chunk.texts[slot] = this.#idOf(machine, 'noted');
      if (this.#noteChars + text.length <= NOTE_CHARS_MAX) {
        this.#noteChars += text.length;
        this.#notes.set(this.size, text);
      }
    }
    this.size++;
    return null;
  }

  ended(): null {
    return null;
  }

  word(index: number): number {
    return (this.#chunks[(index / CHUNK) | 0] as Chunk).words[index % CHUNK] as number;
  }

  describe(index: number): string {
    if (index >= this.size) return this.size === OBSERVATIONS_MAX ? '(past the bound of the recording)' : 'nothing: it had ended';
    const chunk = this.#chunks[(index / CHUNK) | 0] as Chunk;
    const label = this.#labels[chunk.texts[index % CHUNK] as number] as string;
    const note = this.#notes.get(index);
    return `at ${chunk.micros[index % CHUNK]} µs, ${label}${note === undefined ? '' : ` ${note}`}`;
  }

  #idOf(machine: string, text: string): number {
    let ids = this.#ids.get(machine);
    if (ids === undefined) {
      ids = new Map();
      this.#ids.set(machine, ids);
    }
    const known = ids.get(text);
    if (known !== undefined) return known;
    if (this.#labels.length >= LABELS_MAX) return 0;
    const id = this.#labels.length;
    this.#labels.push(`${machine}: ${text}`);
    ids.set(text, id);
    return id;
  }
}

/** Two plays of one seed differed (WM_NOT_DETERMINISTIC). */
export class Divergence extends Error {
  override readonly name = 'Divergence';
  /** Number of the event that differs, or during which something else was noted. */
  readonly step: number;
  readonly micros: number;

  readonly #isNote: boolean;

  constructor(step: number, micros: number, first: string, second: string, isNote: boolean) {
    super(
      `WM_NOT_DETERMINISTIC: two plays of this seed differ at event ${step}, ${micros} µs.\n` +
        `  first play:  ${first}\n  second play: ${second}`,
    );
    this.step = step;
    this.micros = micros;
    this.#isNote = isNote;
  }

  /** Adds where the note was made, and the events that led there. Called once, by the kernel. */
  explain(history: History): void {
    // It was thrown together where the difference was said: for a note that is inside the call that made it.
    const place = this.#isNote ? placeOf(this) : null;
    if (place !== null) this.message += `\n  noted at ${place}, in the second play`;
    const chain = history.chain(this.step, CHAIN_EVENTS_MAX);
    if (chain.length === 0) return;
    this.message += `\n  what led there, in the second play:\n${chain.map((line) => `    ${line}`).join('\n')}`;
  }
}

/** Observes the second play and ends it where it leaves the first. */
export class Comparer implements Observer {
  /** One play of two is enough: the places are told of the second. */
  readonly wantsOrigins = true;
  readonly #recording: Recording;
  #index = 0;

  constructor(recording: Recording) {
    this.#recording = recording;
  }

  observe(step: number, micros: number, machine: string, kind: 'event' | 'note', text: string, word: number): Error | null {
    const index = this.#index++;
    if (index < this.#recording.size && this.#recording.word(index) === word) return null;
    if (index >= OBSERVATIONS_MAX) return null;
    const second = kind === 'event' ? `${machine}: ${text}` : `${machine}: noted ${text}`;
    return new Divergence(step, micros, this.#recording.describe(index), `at ${micros} µs, ${second}`, kind === 'note');
  }

  ended(step: number, micros: number): Error | null {
    if (this.#index >= this.#recording.size) return null;
    return new Divergence(step, micros, `went on ${this.#recording.describe(this.#index)}`, 'nothing: it had ended', false);
  }
}

export function createRecording(): Recording {
  return new Recording();
}

export function compareWith(recording: Recording): Comparer {
  return new Comparer(recording);
}
