// Which workers answer a campaign, what they play, and what people should know of them: that there is none, that one refuses, that one
// came or went.
import { decodeAnswer, type AnswerMessage } from './messages.ts';

/** A worker that has not answered for so long is gone; what it had comes back to the queue by itself. */
const GONE_MS = 10_000;
/** Without a worker for so long, that is said; and again after so long. */
const NOBODY_MS = 5_000;
const NOBODY_AGAIN_MS = 60_000;
/** Bound: workers that are remembered. */
const WORKERS_MAX = 4_096;

export type WorkforceOptions = {
  readonly servers: string;
  readonly warn: (text: string) => void;
  readonly tell: (text: string) => void;
  /** Monotonic. */
  readonly nowMs?: () => number;
};

type Known = { readonly answer: AnswerMessage; readonly heardMs: number };

export class Workforce {
  readonly #options: WorkforceOptions;
  readonly #nowMs: () => number;
  readonly #workers = new Map<string, Known>();
  /** Since when nobody plays. */
  #nobodyMs: number;
  #toldNobodyMs: number | null = null;

  constructor(options: WorkforceOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#nobodyMs = this.#nowMs();
  }

  hear(data: Uint8Array): void {
    const answer = decodeAnswer(data);
    if (answer === null) return;
    const known = this.#workers.get(answer.worker);
    if (known === undefined && this.#workers.size >= WORKERS_MAX) return;
    this.#workers.set(answer.worker, { answer, heardMs: this.#nowMs() });
    if (known?.answer.refuses === answer.refuses) return;
    if (answer.refuses !== null) this.#options.warn(`Worker ${answer.name} plays none of these runs: ${answer.refuses}.`);
    else this.#options.tell(`Worker ${answer.name} plays with ${answer.threads} ${answer.threads === 1 ? 'thread' : 'threads'}.`);
  }

  /** `isWaiting`: there are runs that want to be played. */
  look(isWaiting: boolean): void {
    const nowMs = this.#nowMs();
    for (const [id, { answer, heardMs }] of this.#workers) {
      if (nowMs - heardMs < GONE_MS) continue;
      this.#workers.delete(id);
      if (answer.refuses === null) this.#options.tell(`Worker ${answer.name} answers no more; what it played is played by others.`);
    }
    if (!isWaiting || this.count() > 0) {
      this.#nobodyMs = nowMs;
      this.#toldNobodyMs = null;
    } else if (nowMs - this.#nobodyMs >= NOBODY_MS && nowMs - (this.#toldNobodyMs ?? -Infinity) >= NOBODY_AGAIN_MS) {
      this.#toldNobodyMs = nowMs;
      this.#options.warn(
        `No worker plays these runs. Start one, on any machine with this commit: npx wasmmatrix worker --nats ${this.#options.servers}. Waiting.`,
      );
    }
  }

  /** Workers that play, or would. */
  count(): number {
    return [...this.#workers.values()].filter(({ answer }) => answer.refuses === null).length;
  }

  /** When no run has ended. */
  whyNothing(): string {
    const refusals = [...this.#workers.values()].flatMap(({ answer: { name, refuses } }) =>
      refuses === null ? [] : [`worker ${name} plays none of these runs: ${refuses}`],
    );
    if (this.count() > 0) return 'no run of those that workers took ended in time';
    return refusals.length === 0 ? 'none has answered' : refusals.join('; ');
  }

  playing(): AnswerMessage['playing'] {
    return [...this.#workers.values()].flatMap(({ answer }) => answer.playing);
  }
}
