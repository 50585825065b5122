// The way to the thread that has the database. One batch is with it at a time, and what comes meanwhile is the next one: so
// syncs that come together are one transaction. Operations are answered in the order in which they were submitted.
import { Worker } from 'node:worker_threads';
import { assert, ok, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { BATCH_OPERATIONS_MAX, BYTES_PENDING_MAX, OPERATIONS_MAX } from './operations.ts';
import type { Answers, BatchResult, FromThread, Operation, ThreadData, ToThread } from './operations.ts';
import { full } from './trouble.ts';
import type { Health } from './trouble.ts';

const PROGRAM = new URL('./worker.ts', import.meta.url);
/** `node:sqlite` says at each start that it is young; operators cannot do anything about that. */
const QUIET = ['--disable-warning=ExperimentalWarning'];

type Waiting = { readonly operation: Operation; readonly resolve: (outcome: Outcome<never>) => void };

export class StorageThread {
  readonly #worker: Worker;
  readonly #health: Health;
  readonly #path: string;
  /** Bound: `OPERATIONS_MAX` together with the batch. */
  #queue: Waiting[] = [];
  #batch: readonly Waiting[] = [];
  #bytesPending = 0;
  #idle: (() => void) | null = null;
  readonly #exited: Promise<void>;

  private constructor(worker: Worker, health: Health, path: string) {
    this.#worker = worker;
    this.#health = health;
    this.#path = path;
    worker.on('message', (message: FromThread) => {
      assert(message.kind === 'batch', 'a thread opens its database once');
      this.#settle(message.result);
    });
    worker.on('error', (error) => this.#lost(error instanceof Error ? error.message : String(error)));
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#lost('its thread ended');
        resolve();
      });
    });
  }

  static async start(data: ThreadData, health: Health): Promise<Outcome<StorageThread>> {
    const worker = new Worker(PROGRAM, { workerData: data, execArgv: QUIET });
    const opened = await new Promise<Outcome<void>>((resolve) => {
      const cannot = (cause: string): void =>
        resolve(unknown('WM_STORAGE_FAILED', { message: `The thread of ${data.path} did not start: ${cause}.`, next: 'Start again.' }));
      worker.once('message', (message: FromThread) => {
        assert(message.kind === 'opened', 'a thread tells first whether it could open its database');
        resolve(message.outcome);
      });
      worker.once('error', (error) => cannot(error instanceof Error ? error.message : String(error)));
      worker.once('exit', () => cannot('it ended'));
    });
    if (opened.ok) return ok(new StorageThread(worker, health, data.path));
    await worker.terminate();
    return opened;
  }

  /** Room for bytes that will be written; given back by `release` when they are durable. */
  reserve(bytes: number): Err | null {
    if (this.#bytesPending + bytes > BYTES_PENDING_MAX) {
      return full(`${this.#path} has ${this.#bytesPending} bytes to write; ${bytes} more do not fit.`, {
        bytesPending: this.#bytesPending,
      });
    }
    this.#bytesPending += bytes;
    return null;
  }

  release(bytes: number): void {
    this.#bytesPending -= bytes;
    assert(this.#bytesPending >= 0, 'only what was reserved is released');
  }

  /** Accepted at once or not at all; the promise never rejects. */
  submit<Kind extends Operation['kind']>(operation: Operation & { readonly kind: Kind }): Outcome<Promise<Outcome<Answers[Kind]>>> {
    if (this.#health.end !== null) return this.#health.end;
    if (this.#queue.length + this.#batch.length >= OPERATIONS_MAX) {
      return full(`${this.#path} has ${OPERATIONS_MAX} operations to do.`, { operationsMax: OPERATIONS_MAX });
    }
    const answer = new Promise<Outcome<Answers[Kind]>>((resolve) => this.#queue.push({ operation, resolve }));
    if (this.#batch.length === 0) this.#send();
    return ok(answer);
  }

  async ask<Kind extends Operation['kind']>(operation: Operation & { readonly kind: Kind }): Promise<Outcome<Answers[Kind]>> {
    const submitted = this.submit<Kind>(operation);
    return submitted.ok ? submitted.value : submitted;
  }

  /** After what was submitted. The caller has ended the health, so that nothing comes behind it. */
  async close(): Promise<void> {
    if (this.#batch.length > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#post({ kind: 'close' });
    await this.#exited;
  }

  #send(): void {
    this.#batch = this.#queue.splice(0, BATCH_OPERATIONS_MAX);
    if (this.#batch.length > 0) this.#post({ kind: 'batch', operations: this.#batch.map(({ operation }) => operation) });
    else this.#idle?.();
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #settle(result: BatchResult): void {
    const batch = this.#batch;
    if (!result.committed) {
      this.#end(result.reason);
      return;
    }
    assert(result.outcomes.length === batch.length, 'every operation has an outcome');
    for (const [i, { resolve }] of batch.entries()) resolve(result.outcomes[i] as Outcome<never>);
    this.#send();
  }

  #lost(cause: string): void {
    const next = 'Start again; the store recovers from what is on disk.';
    this.#end(unknown('WM_STORAGE_FAILED', { message: `${this.#path} was given up: ${cause}.`, next, detail: { path: this.#path } }));
  }

  /** Whatever waits gets the reason: none of it is known to be durable, and nothing is written any more. */
  #end(reason: Err): void {
    this.#health.endWith(reason);
    const waiting = [...this.#batch, ...this.#queue];
    this.#batch = [];
    this.#queue = [];
    for (const { resolve } of waiting) resolve(reason);
    this.#idle?.();
  }
}
