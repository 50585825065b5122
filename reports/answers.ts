// How long events took from being accepted to being acknowledged, as points to draw. Pure and bounded: of two neighbours the
// slower stays, so that what was slow is never thinned out.

/** When an event was acknowledged for good, and how long that was after it had been accepted. */
export type Answer = readonly [micros: number, tookMicros: number];

/** Bound: points kept for one run. */
export const ANSWERS_MAX = 1_500;
/** Bound: events that wait for their acknowledgement; the oldest are forgotten, and then not drawn. */
export const PENDING_MAX = 20_000;

export class Answers {
  readonly #pending = new Map<string, number>();
  readonly #points: Answer[] = [];
  /** The slowest of those that become the next point. */
  #slowest: Answer | null = null;
  #merged = 0;
  #mergeEvery = 1;
  #total = 0;

  accepted(event: string, micros: number): void {
    this.#pending.set(event, micros);
    if (this.#pending.size > PENDING_MAX) this.#pending.delete(this.#pending.keys().next().value ?? '');
  }

  /** Every trigger acknowledges for itself; the first one counts. */
  acknowledged(event: string, micros: number): void {
    const accepted = this.#pending.get(event);
    if (accepted === undefined) return;
    this.#pending.delete(event);
    this.#total += 1;
    this.#slowest = slower(this.#slowest, [micros, micros - accepted]);
    this.#merged += 1;
    if (this.#merged < this.#mergeEvery) return;
    this.#points.push(this.#slowest);
    this.#slowest = null;
    this.#merged = 0;
    if (this.#points.length >= ANSWERS_MAX) this.#halve();
  }

  finish(): { readonly answers: readonly Answer[]; readonly answersTotal: number } {
    return { answers: this.#slowest === null ? this.#points : [...this.#points, this.#slowest], answersTotal: this.#total };
  }

  /** Neighbours become one, and from now on twice as many become one. */
  #halve(): void {
    this.#mergeEvery *= 2;
    const whole = this.#points.splice(0);
    whole.forEach((point, i) => {
      if (i % 2 === 0) this.#points.push(slower(whole[i + 1] ?? null, point));
    });
  }
}

function slower(a: Answer | null, b: Answer): Answer {
  return a === null || b[1] > a[1] ? b : a;
}
