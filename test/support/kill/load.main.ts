// Loads a controller without pause: `load.main.ts <context> <keys> <log>`. Commands, events and writes of state, each repeated
// until it is answered, or given up after one attempt now and then; and one consumer of the events. It hears `pause` and `go`
// on its standard input, ends with it, and says `paused` when nothing is outstanding. It lives on: its log is what the controller is held to.
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { openOperator, type Operator } from '../../../hardware/operator/operator.ts';
import type { ConsumerSpec } from '../../../system/domain/broker.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import type { BusEvent } from '../../../system/domain/event.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { State } from '../../../system/ports/state.ts';
import { createStateClient } from '../../../system/state/state.ts';
import { Worker, SIGNING_KEY } from './commands.ts';
import { LineWriter } from './lines.ts';

const WORKERS = 8;
/** One in so many is given up when its first attempt is not answered. */
const GIVEN_UP = 6;
const ATTEMPT_MICROS = 1_500_000;
const PAUSE_MS = 20;
const CONSUMER = {
  name: 'load',
  filter: 'load.>',
  ackWaitMs: 2_000,
  deliveriesMax: 1_000,
  backoffMs: 50,
  backoffMsMax: 500,
  pendingMax: 256,
  idleMsMax: null,
} as unknown as ConsumerSpec;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

class Load {
  readonly #operator: Operator;
  readonly #keys: FileKeys;
  readonly #log: LineWriter;
  readonly #state: State;
  #paused = false;
  #outstanding = 0;

  constructor(operator: Operator, keys: FileKeys, log: LineWriter) {
    this.#operator = operator;
    this.#keys = keys;
    this.#log = log;
    this.#state = createStateClient({ network: operator.network }, { store: 'controller' as Endpoint });
  }

  hear(word: string): void {
    if (word === 'pause') this.#paused = true;
    if (word === 'go') this.#paused = false;
    this.#tellPaused();
  }

  async run(): Promise<void> {
    const opened = await this.#keys.open(SIGNING_KEY);
    if (!opened.ok) throw new Error(opened.error.message);
    await this.#repeat(() => this.#operator.bus.createConsumer(CONSUMER));
    const trust = { kind: 'trust-add', publicKey: opened.value.publicKey, mayGrant: [] } as const;
    this.#log.write({ at: 'sent', id: 'trust-load', worker: -1, command: trust });
    const reply = await this.#repeat(() => this.#operator.client.execute('trust-load', trust, { deadlineMicros: ATTEMPT_MICROS }));
    if (reply?.ok !== true) throw new Error('the key of the load is not trusted');
    this.#log.write({ at: 'acknowledged', id: 'trust-load', reply: reply.value });
    say('loading');
    const workers = Array.from({ length: WORKERS }, (_, number) => this.#work(new Worker(number, this.#keys)));
    await Promise.all([this.#consume(), ...workers]);
  }

  #tellPaused(): void {
    if (this.#paused && this.#outstanding === 0) say('paused');
  }

  async #work(worker: Worker): Promise<void> {
    for (let turn = 0; ; turn++) {
      if (this.#paused) {
        await sleep(PAUSE_MS);
        continue;
      }
      this.#outstanding += 1;
      if (turn % 6 === 4) await this.#publish(worker);
      else if (turn % 6 === 5) await this.#put(worker);
      else await this.#command(worker);
      this.#outstanding -= 1;
      this.#tellPaused();
    }
  }

  /** Until there is an answer; null when it is given up. */
  async #repeat<T>(attempt: () => Promise<Outcome<T>>, givenUp = false): Promise<Outcome<T> | null> {
    for (;;) {
      const outcome = await attempt();
      if (outcome.ok || outcome.error.kind === 'rejected') return outcome;
      if (givenUp) return null;
      await sleep(PAUSE_MS);
    }
  }

  async #command(worker: Worker): Promise<void> {
    const command = await worker.next();
    const id = `${worker.number}-${randomUUID()}`;
    this.#log.write({ at: 'sent', id, worker: worker.number, command });
    const givenUp = Math.random() * GIVEN_UP < 1;
    const reply = await this.#repeat(() => this.#operator.client.execute(id, command, { deadlineMicros: ATTEMPT_MICROS }), givenUp);
    if (reply === null) return this.#log.write({ at: 'unknown', id });
    if (!reply.ok) return this.#log.write({ at: 'refused', id, code: reply.error.code });
    this.#log.write({ at: 'acknowledged', id, reply: reply.value });
    if (reply.value.kind === 'module-stored') worker.versions = reply.value.version;
    return undefined;
  }

  async #publish({ number }: Worker): Promise<void> {
    const id = `e-${number}-${randomUUID()}`;
    this.#log.write({ at: 'publishing', id, worker: number });
    const event = {
      id,
      subject: `load.w${number}`,
      timeMs: Date.now(),
      correlation: id,
      headers: {},
      data: new TextEncoder().encode(id),
    } as unknown as BusEvent;
    const ack = await this.#repeat(
      () => this.#operator.bus.publish(event, { fence: null, deadlineMicros: ATTEMPT_MICROS }),
      Math.random() * GIVEN_UP < 1,
    );
    if (ack?.ok === true) this.#log.write({ at: 'published', id, worker: number, sequence: ack.value.sequence });
    else if (ack !== null && ack.error.code !== 'WM_BUS_FULL') throw new Error(`event ${id}: ${ack.error.message}`);
  }

  /** The value says its own version, so that whoever reads it knows whether both belong together. */
  async #put({ number }: Worker): Promise<void> {
    const state = this.#state;
    const key = `load/${number}`;
    const read = await this.#repeat(() => state.get(key, { deadlineMicros: ATTEMPT_MICROS }));
    if (read?.ok !== true) throw new Error(`${key} cannot be read`);
    const version = (read.value?.version ?? 0) + 1;
    this.#log.write({ at: 'putting', key, version });
    const value = new TextEncoder().encode(String(version));
    const put = await state.put(key, value, { expectedVersion: version - 1, fence: null, deadlineMicros: ATTEMPT_MICROS });
    if (put.ok) this.#log.write({ at: 'put', key, version: put.value });
    // A write that was given up may have come after the reading.
    else if (put.error.kind === 'rejected' && put.error.code !== 'WM_CONFLICT')
      throw new Error(`${key} cannot be written: ${put.error.message}`);
  }

  async #consume(): Promise<void> {
    const { bus } = this.#operator;
    for (;;) {
      const fetched = await bus.fetch(CONSUMER.name, { eventsMax: 64, waitMs: 500, fence: null });
      if (!fetched.ok) {
        if (fetched.error.kind === 'rejected') throw new Error(`the consumer is gone: ${fetched.error.message}`);
        await sleep(PAUSE_MS);
        continue;
      }
      for (const delivery of fetched.value) {
        const { id } = delivery.event;
        this.#log.write({ at: 'received', id });
        const settled = await bus.settle(CONSUMER.name, delivery, { kind: 'ack' }, { fence: null });
        if (settled.ok) this.#log.write({ at: 'settled', id });
      }
    }
  }
}

const [context = '', folder = '', path = ''] = process.argv.slice(2);
const opened = await openOperator({ context, environment: {}, onTrouble: () => {} });
if (!opened.ok) throw new Error(opened.error.message);
const log = new LineWriter(path);
const load = new Load(opened.value, new FileKeys(folder), log);
const input = createInterface({ input: process.stdin });
input.on('line', (word) => load.hear(word));
// Whoever steers it is gone, or has seen enough.
input.on('close', () => process.exit(0));
await load.run();
