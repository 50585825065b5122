// A set of identifiers that costs nothing for those that are numbered without gaps: `readings-17/telemetry` is number 17 of
// those that differ in nothing else, and what is known of that is a few runs of numbers. So a goal that must know every event of a run again
// does not grow with the run's length.

type Runs = { readonly starts: number[]; readonly ends: number[] };

const DIGITS = /\d+/g;
/** Longer ones are taken as texts. */
const DIGITS_MAX = 15;

export class Identifiers {
  /** By the text around the number, and the number's place in it. */
  #runs = new Map<string, Runs>();
  size = 0;

  clear(): void {
    this.become(new Identifiers());
  }

  copy(): Identifiers {
    const copy = new Identifiers();
    copy.size = this.size;
    for (const [text, { starts, ends }] of this.#runs) copy.#runs.set(text, { starts: [...starts], ends: [...ends] });
    return copy;
  }

  /** Those of the other one, which is given away with it. */
  become(other: Identifiers): void {
    this.#runs = other.#runs;
    this.size = other.size;
  }

  has(id: string): boolean {
    const { text, number } = split(id);
    const runs = this.#runs.get(text);
    if (runs === undefined) return false;
    const at = indexOf(runs, number);
    return at >= 0 && number <= (runs.ends[at] as number);
  }

  /** False when it was there. */
  add(id: string): boolean {
    const { text, number } = split(id);
    let runs = this.#runs.get(text);
    if (runs === undefined) this.#runs.set(text, (runs = { starts: [], ends: [] }));
    const { starts, ends } = runs;
    const at = indexOf(runs, number);
    if (at >= 0 && number <= (ends[at] as number)) return false;
    this.size += 1;
    const joinsBefore = at >= 0 && ends[at] === number - 1;
    const joinsAfter = starts[at + 1] === number + 1;
    if (joinsBefore && joinsAfter) {
      ends[at] = ends[at + 1] as number;
      starts.splice(at + 1, 1);
      ends.splice(at + 1, 1);
    } else if (joinsBefore) ends[at] = number;
    else if (joinsAfter) starts[at + 1] = number;
    else {
      starts.splice(at + 1, 0, number);
      ends.splice(at + 1, 0, number);
    }
    return true;
  }
}

/** The last run that begins at or before the number; -1 when there is none. */
function indexOf({ starts }: Runs, number: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) <= number) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** By its largest number, which is the one that counts in what is numbered in several places. */
function split(id: string): { readonly text: string; readonly number: number } {
  let text = id;
  let number = -1;
  for (const { 0: digits, index } of id.matchAll(DIGITS)) {
    const isPlain = digits.length <= DIGITS_MAX && (digits.length === 1 || !digits.startsWith('0'));
    if (!isPlain || Number(digits) <= number) continue;
    number = Number(digits);
    text = `${index} ${id.slice(0, index)}${id.slice(index + digits.length)}`;
  }
  return { text, number };
}
