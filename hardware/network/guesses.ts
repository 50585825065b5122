// Who said a wrong secret, and how often lately. Whoever does so too often is not listened to for a while, also when the next
// secret is right: an answer would tell him that it is.
/** Bound: wrong secrets of one place within the window; past it the place waits for the end of the window. */
export const WRONG_SECRETS_MAX = 5;
export const WRONG_SECRETS_WINDOW_MS = 60_000;
/** Bound: places that are remembered; the one that began longest ago is forgotten. */
const PLACES_MAX = 4_096;

export class Guesses {
  readonly #wrong = new Map<string, { count: number; readonly sinceMs: number }>();
  readonly #civilMs: () => number;

  constructor(civilMs: () => number) {
    this.#civilMs = civilMs;
  }

  isTooMany(place: string): boolean {
    return (this.#find(place)?.count ?? 0) >= WRONG_SECRETS_MAX;
  }

  /** Counts one more; so many they are now. */
  add(place: string): number {
    const known = this.#find(place);
    if (known !== undefined) return ++known.count;
    this.#wrong.delete(place);
    this.#wrong.set(place, { count: 1, sinceMs: this.#civilMs() });
    if (this.#wrong.size > PLACES_MAX) this.#wrong.delete(this.#wrong.keys().next().value!);
    return 1;
  }

  #find(place: string) {
    const known = this.#wrong.get(place);
    // A clock that was set back does not lock anybody out for longer.
    return known !== undefined && Math.abs(this.#civilMs() - known.sinceMs) < WRONG_SECRETS_WINDOW_MS ? known : undefined;
  }
}
