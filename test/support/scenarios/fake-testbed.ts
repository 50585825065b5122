// A world in which nothing happens but time: what the driver of a run does to it is written down, and a test says what it
// answers. Time passes when everybody sleeps; nothing here waits for real.
import type { Testbed } from '../../../scenarios/testbed.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { FAULT_KINDS, FLEET_FEATURES, type FaultSpec } from '../../../scenarios/scenario.ts';
import type { BusEvent, PublishAck } from '../../../system/domain/event.ts';
import type { Digest, KeyId } from '../../../system/domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../../../system/domain/operator.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';

export type Happening =
  | { readonly micros: number; readonly did: 'command'; readonly id: string; readonly command: OperatorCommand }
  | { readonly micros: number; readonly did: 'publish'; readonly zone: string; readonly event: BusEvent }
  | { readonly micros: number; readonly did: 'inject'; readonly id: string; readonly fault: FaultSpec }
  | { readonly micros: number; readonly did: 'start' | 'stop' | 'heal' | 'query' };

export type FakeAnswers = {
  readonly start?: Outcome<void>;
  readonly execute?: (command: OperatorCommand, calls: number) => Outcome<OperatorReply> | Promise<Outcome<OperatorReply>>;
  readonly publish?: (event: BusEvent, calls: number) => Outcome<PublishAck>;
  /** What the world says by itself: told at its time, as records of the controller. */
  readonly says?: readonly RunRecord[];
  readonly faultKinds?: Testbed['faultKinds'];
  readonly fleetFeatures?: Testbed['fleetFeatures'];
};

type Sleeper = { readonly due: number; readonly order: number; readonly wake: () => void };

export class FakeTestbed implements Testbed {
  readonly world = 'fake';
  readonly slackMicros = 0;
  readonly faultKinds: Testbed['faultKinds'];
  readonly fleetFeatures: Testbed['fleetFeatures'];
  readonly happened: Happening[] = [];
  readonly records: RunRecord[] = [];
  /** How long the world takes for a command. */
  commandMicros = 0;
  readonly #answers: FakeAnswers;
  readonly #sleepers: Sleeper[] = [];
  #now = 0;
  #order = 0;
  #turning = false;
  #listener: (record: RunRecord) => void = () => {};
  #handle: ((event: BusEvent) => void) | null = null;

  constructor(answers: FakeAnswers = {}) {
    this.#answers = answers;
    this.faultKinds = answers.faultKinds ?? FAULT_KINDS;
    this.fleetFeatures = answers.fleetFeatures ?? FLEET_FEATURES;
  }

  readonly clock = {
    monotonicMicros: () => this.#now,
    civilMs: () => Math.floor(this.#now / 1_000),
    sleep: (delayMicros: number) =>
      new Promise<void>((resolve) => {
        this.#sleepers.push({ due: this.#now + delayMicros, order: this.#order++, wake: resolve });
        this.#turn();
      }),
  };

  readonly random = {
    /** Always the least: chances never come true, numbers are 0. */
    stream: () => ({ uint32: () => 0, below: () => 0, chance: () => true }),
  };

  readonly keys = {
    digest: (bytes: Uint8Array) => `sha256:${[...bytes].join('-')}` as Digest,
    open: async (person: string) => ok({ key: `ed25519:${person}` as KeyId, publicKey: new TextEncoder().encode(person) }),
    sign: async (person: string, message: Uint8Array) => ok(new TextEncoder().encode(`${person} ${message.length}`)),
  };

  async start(): Promise<Outcome<void>> {
    this.#note({ micros: this.#now, did: 'start' });
    for (const record of this.#answers.says ?? []) void this.clock.sleep(record.micros).then(() => this.#tell(record));
    return this.#answers.start ?? ok();
  }

  async stop(): Promise<void> {
    this.#note({ micros: this.#now, did: 'stop' });
  }

  exampleModule(example: string, variant: number): ReturnType<Testbed['exampleModule']> {
    return ok({
      bytes: new Uint8Array([example.length, variant]),
      capabilities: ['clock'],
      fuelMax: 10,
      memoryBytesMax: 20,
      outputBytesMax: 30,
    });
  }

  async execute(id: string, command: OperatorCommand): Promise<Outcome<OperatorReply>> {
    this.#note({ micros: this.#now, did: 'command', id, command });
    const calls = this.commands(command.kind).length;
    if (this.commandMicros > 0) await this.clock.sleep(this.commandMicros);
    return this.#answers.execute?.(command, calls) ?? ok<OperatorReply>({ kind: 'done', sequence: this.happened.length });
  }

  async query(query: OperatorQuery): Promise<Outcome<OperatorAnswer>> {
    this.#note({ micros: this.#now, did: 'query' });
    const empty = { nodes: [], modules: [], deployments: [], instances: [], keys: [], term: 1 };
    return ok({ kind: query.kind, ...empty } as unknown as OperatorAnswer);
  }

  async publish(zone: string, event: BusEvent): Promise<Outcome<PublishAck>> {
    this.#note({ micros: this.#now, did: 'publish', zone, event });
    return this.#answers.publish?.(event, this.published(event.id).length) ?? ok({ sequence: this.happened.length, duplicate: false });
  }

  async subscribe(_filter: string, handle: (event: BusEvent) => void): Promise<Outcome<void>> {
    this.#handle = handle;
    return ok();
  }

  /** As the broker would hand it to the driver. */
  deliver(event: BusEvent): void {
    this.#handle?.(event);
  }

  async readState(key: string): Promise<Outcome<{ version: number; value: Uint8Array } | null>> {
    return ok(key === 'absent' ? null : { version: 1, value: new TextEncoder().encode(key) });
  }

  inject(id: string, fault: FaultSpec): Outcome<void> {
    this.#note({ micros: this.#now, did: 'inject', id, fault });
    return ok();
  }

  healAll(): void {
    this.#note({ micros: this.#now, did: 'heal' });
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  readonly record: Testbed['record'] = (kind, fields) => {
    this.#tell({
      source: 'testbed',
      incarnation: 1,
      sequence: this.records.length + 1,
      micros: this.#now,
      kind,
      correlation: null,
      fields,
    } as unknown as RunRecord);
  };

  onRecord(listener: (record: RunRecord) => void): void {
    this.#listener = listener;
  }

  commands(kind: OperatorCommand['kind']): readonly Extract<Happening, { did: 'command' }>[] {
    return this.happened.filter(
      (happening): happening is Extract<Happening, { did: 'command' }> => happening.did === 'command' && happening.command.kind === kind,
    );
  }

  published(id?: string): readonly Extract<Happening, { did: 'publish' }>[] {
    return this.happened.filter(
      (happening): happening is Extract<Happening, { did: 'publish' }> =>
        happening.did === 'publish' && (id === undefined || happening.event.id === id),
    );
  }

  #tell(record: RunRecord): void {
    this.records.push(record);
    this.#listener(record);
  }

  #note(happening: Happening): void {
    this.happened.push(happening);
  }

  /** Wakes the next sleeper once everything that can go on without time has gone on. */
  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      this.#sleepers.sort((a, b) => a.due - b.due || a.order - b.order);
      const next = this.#sleepers.shift();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      if (this.#sleepers.length > 0) this.#turn();
    });
  }
}
