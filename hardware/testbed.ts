// Real processes on this machine as a testbed: the product as a user starts it, with faults that really happen. The same scenario
// file, the same goals, the same record as in the simulator; what differs is said: time has noise, so budgets have some slack,
// and a run is not the same twice.
// On a slow machine the run's time passes more slowly than the wall's (`local/pace.ts`).
// Surprising: the run's clock stands still until the fleet has joined, which here takes seconds of a busy machine.
import type { RunRecord } from '../scenarios/record.ts';
import type { FaultKind, FaultSpec, Scenario } from '../scenarios/scenario.ts';
import type { Testbed, TestbedRandom } from '../scenarios/testbed.ts';
import type { ZonePath } from '../system/domain/identifiers.ts';
import { failed, ok, rejected, type Outcome } from '../system/domain/outcome.ts';
import { decodeTokensReply, encodeTokensRequest } from '../system/wire/codec/enrolment.ts';
import { TOKENS_METHOD } from '../system/domain/enrolment.ts';
import { FileKeys } from './keys/keys.ts';
import { LOCAL_FAULT_KINDS, LocalFleet, machineMicros, placesOf, stretchCommand, type ForeignNodes, type Pace } from './local/local.ts';
import { join as joinPlatform, type KeptIdentity } from './network/network.ts';
import { openOperator } from './operator/operator.ts';
import { Driver } from './testbed/driver.ts';

/** What a busy machine may add to any budget of time. */
export const SLACK_MICROS = 3_000_000;
/** Bound: how long the fleet may take until every node has joined. */
const START_MS_MAX = 120_000;
/** The same with machines that boot. */
const START_FOREIGN_MS_MAX = 300_000;
const LOOK_EVERY_MS = 100;
const MICROS_PER_MS = 1_000;
const TOKEN_MICROS_MAX = 30_000_000;

export type LocalInjected = {
  /** File of the command line. */
  readonly program: string;
  /** Library of the engine addon. */
  readonly engine: string;
  /** Null: as fast as this machine can, which is measured. */
  readonly pace: Pace | null;
  /** Null: every node is a process. */
  readonly foreign: {
    readonly world: string;
    readonly nodes: readonly ForeignNodes[];
    readonly slackMicros: number;
    /** What they add to the faults of processes. */
    readonly faultKinds: readonly FaultKind[];
  } | null;
  /** Streams of the driver, from the seed. */
  readonly random: TestbedRandom;
  readonly exampleModule: Testbed['exampleModule'];
  /** Ends the start of a fleet that the user does not want any more. */
  readonly cancelled: () => boolean;
};

export type LocalWorld = Testbed & {
  /** Known when it has started. */
  readonly pace: Pace | null;
};

export function createLocalTestbed(injected: LocalInjected): LocalWorld {
  return new LocalTestbed(injected);
}

class LocalTestbed implements LocalWorld {
  readonly world: string;
  readonly faultKinds: readonly FaultKind[];
  /** The proxies between processes delay and lose, and do no more. */
  readonly fleetFeatures = [];
  readonly slackMicros: number;
  readonly random: TestbedRandom;
  readonly exampleModule: Testbed['exampleModule'];
  readonly #injected: LocalInjected;
  /** Before the fleet is there. */
  readonly #early: (() => void)[] = [];
  #fleet: LocalFleet | null = null;
  #driver: Driver | null = null;
  #people: FileKeys | null = null;
  /** When the run's time began, by the machine's clock. */
  #originMicros: number | null = null;
  #listener: (record: RunRecord) => void = () => {};

  constructor(injected: LocalInjected) {
    this.#injected = injected;
    this.world = injected.foreign?.world ?? 'local';
    this.faultKinds = [...LOCAL_FAULT_KINDS, ...(injected.foreign?.faultKinds ?? [])];
    this.slackMicros = SLACK_MICROS + (injected.foreign?.slackMicros ?? 0);
    this.random = injected.random;
    this.exampleModule = injected.exampleModule;
  }

  readonly clock: Testbed['clock'] = {
    monotonicMicros: () => this.#timeOf(machineMicros()),
    civilMs: () => Date.now(),
    sleep: (delayMicros) => new Promise((resolve) => setTimeout(resolve, Math.ceil((delayMicros * this.#factor) / MICROS_PER_MS))),
  };

  readonly keys: Testbed['keys'] = {
    digest: (bytes) => this.#peopleKeys().digest(bytes),
    open: (person) => this.#peopleKeys().open(person),
    sign: (person, message) => this.#peopleKeys().sign(person, message),
  };

  readonly record: Testbed['record'] = (kind, fields) => {
    if (this.#fleet === null) this.#early.push(() => this.#fleet?.record(kind, fields));
    else this.#fleet.record(kind, fields);
  };

  async start(scenario: Scenario): Promise<Outcome<void>> {
    const fleet = new LocalFleet({
      scenario,
      program: this.#injected.program,
      engine: this.#injected.engine,
      pace: this.#injected.pace,
      foreign: this.#injected.foreign?.nodes ?? [],
      onRecord: (record) => this.#listener({ ...record, micros: this.#timeOf(record.micros) }),
    });
    this.#fleet = fleet;
    this.#people = new FileKeys(`${fleet.folder}/people`);
    for (const say of this.#early.splice(0)) say();
    const controller = await this.#unlessCancelled(fleet.startController());
    if (!controller.ok) return controller;
    const driver = await this.#unlessCancelled(this.#createDriver(fleet, scenario, controller.value.context));
    if (!driver.ok) return driver;
    this.#driver = driver.value;
    const nodes = await fleet.startNodes(controller.value.nodeToken);
    if (!nodes.ok) return nodes;
    const joined = await this.#unlessCancelled(this.#untilJoined(fleet, scenario));
    if (!joined.ok) return joined;
    await fleet.settle();
    this.#originMicros = machineMicros();
    fleet.begin();
    return ok();
  }

  async stop(): Promise<void> {
    const [fleet, driver] = [this.#fleet, this.#driver];
    this.#driver = null;
    await driver?.close();
    await fleet?.stop();
  }

  execute: Testbed['execute'] = (id, command, { deadlineMicros }) =>
    this.#driving().execute(id, stretchCommand(command, this.#factor), deadlineMicros * this.#factor);
  query: Testbed['query'] = (query, { deadlineMicros }) => this.#driving().query(query, deadlineMicros * this.#factor);
  publish: Testbed['publish'] = (zone, event, { deadlineMicros }) => this.#driving().publish(zone, event, deadlineMicros * this.#factor);
  subscribe: Testbed['subscribe'] = (filter, handle) => this.#driving().subscribe(filter, handle);
  readState: Testbed['readState'] = (key) => this.#driving().readState(key);

  inject(id: string, fault: FaultSpec): Outcome<void> {
    return this.#running().faults.inject(id, fault);
  }

  healAll(): void {
    this.#fleet?.faults.healAll();
  }

  onRecord(listener: (record: RunRecord) => void): void {
    this.#listener = listener;
  }

  async settle(): Promise<void> {
    await this.#fleet?.settle();
  }

  async #createDriver(fleet: LocalFleet, { fleet: spec }: Scenario, context: string): Promise<Outcome<Driver>> {
    const token = await operatorToken(context);
    if (!token.ok) return token;
    const { operator, publishers } = placesOf(spec);
    const identities = new Map<ZonePath, KeptIdentity>();
    const joinFrom = async (place: typeof operator, name: string): Promise<Outcome<KeptIdentity>> => {
      const joined = await joinPlatform({ token: token.value, name: `operator/${name}` });
      return joined.ok ? ok({ ...joined.value, addresses: [await fleet.openWay(place)] }) : joined;
    };
    const own = await joinFrom(operator, 'ops');
    if (!own.ok) return own;
    for (const [i, place] of publishers.entries()) {
      const joined = await joinFrom(place, `publisher-${i + 1}`);
      if (!joined.ok) return joined;
      identities.set(place.zone, joined.value);
    }
    return ok(new Driver({ operator: own.value, publishers: identities, keepaliveMs: fleet.keepaliveMs }));
  }

  /** Every node that is there from the beginning has joined and is healthy. */
  async #untilJoined(fleet: LocalFleet, { fleet: spec }: Scenario): Promise<Outcome<void>> {
    const wanted = spec.nodes.filter(({ startMicros }) => startMicros === 0).map(({ node }) => node as string);
    const startMsMax = (this.#injected.foreign === null ? START_MS_MAX : START_FOREIGN_MS_MAX) * this.#factor;
    const endMs = performance.now() + startMsMax;
    let missing: readonly string[] = wanted;
    while (performance.now() < endMs && this.#driver !== null && !this.#injected.cancelled()) {
      const answer = await this.#driving().query({ kind: 'nodes' }, LOOK_EVERY_MS * 20 * MICROS_PER_MS);
      if (answer.ok && answer.value.kind === 'nodes') {
        const { nodes } = answer.value;
        missing = wanted.filter((name) => !nodes.some(({ facts, status }) => facts.node === name && status === 'healthy'));
        if (missing.length === 0) return ok();
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    const [first = ''] = missing;
    return failed('WM_DEADLINE', {
      message: `${missing.join(', ')} did not join within ${startMsMax / 1_000} s. ${first} said last: ${fleet.lastWordsOf(first)}`,
      next: 'Look at what it said, or give the machine less to do.',
    });
  }

  /** The work goes on behind, until `stop` ends what it waits for. */
  #unlessCancelled<T>(work: Promise<Outcome<T>>): Promise<Outcome<T>> {
    return new Promise((resolve, reject) => {
      const look = setInterval(() => {
        if (!this.#injected.cancelled()) return;
        clearInterval(look);
        resolve(rejected('WM_CANCELLED', { message: 'The run was stopped while its fleet was starting.', next: 'Start it again.' }));
      }, LOOK_EVERY_MS);
      work.then(resolve, reject).finally(() => clearInterval(look));
    });
  }

  #timeOf(micros: number): number {
    return this.#originMicros === null ? 0 : Math.max(0, Math.round((micros - this.#originMicros) / this.#factor));
  }

  get pace(): Pace | null {
    return this.#originMicros === null ? null : (this.#fleet?.pace ?? null);
  }

  get #factor(): number {
    return this.#fleet?.pace.factor ?? 1;
  }

  #running(): LocalFleet {
    if (this.#fleet === null) throw new Error('a testbed is started before it is used');
    return this.#fleet;
  }

  #driving(): Driver {
    if (this.#driver === null) throw new Error('a testbed is started before it is used');
    return this.#driver;
  }

  #peopleKeys(): FileKeys {
    if (this.#people === null) throw new Error('a testbed is started before it is used');
    return this.#people;
  }
}

/** The controller's own operator has its context in a file, and may ask for the token with which others join. */
async function operatorToken(context: string): Promise<Outcome<string>> {
  const opened = await openOperator({ context, environment: {}, onTrouble: () => {} });
  if (!opened.ok) return opened;
  try {
    const request = encodeTokensRequest({ kind: 'current', role: 'operator' });
    const answer = await opened.value.client.call(TOKENS_METHOD, request, { deadlineMicros: TOKEN_MICROS_MAX });
    if (!answer.ok) return answer;
    const reply = decodeTokensReply(answer.value);
    if (!reply.ok) return reply;
    if (reply.value.token !== null) return ok(reply.value.token);
    return rejected('WM_MESSAGE_INVALID', { message: 'The controller gave no token.', next: 'Report this.' });
  } finally {
    await opened.value.close();
  }
}
