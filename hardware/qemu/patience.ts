// How long a machine is waited for: to its bound while it goes on speaking, and not that long once it is silent.

const SECOND_MS = 1_000;

export type PatienceBounds = {
  readonly msMax: number;
  /** Without a word. */
  readonly silentMsMax: number;
};

export class Patience {
  readonly #bounds: PatienceBounds;
  readonly #endMs: number;
  #bytes = 0;
  #heardMs: number;

  /** Times are of one clock that never goes back, in ms. */
  constructor(bounds: PatienceBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#endMs = nowMs + bounds.msMax;
    this.#heardMs = nowMs;
  }

  /** `bytes`: all that it has said so far. Why it is not waited for any longer, as the end of a sentence about it; null: it is. */
  endedBy(bytes: number, nowMs: number): string | null {
    if (bytes !== this.#bytes) this.#heardMs = nowMs;
    this.#bytes = bytes;
    const { msMax, silentMsMax } = this.#bounds;
    if (nowMs > this.#endMs) return `was not done after ${msMax / SECOND_MS} s`;
    return nowMs - this.#heardMs > silentMsMax ? `hung: nothing was heard of it for ${silentMsMax / SECOND_MS} s` : null;
  }
}
