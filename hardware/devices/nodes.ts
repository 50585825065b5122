// The nodes of a run that are physical devices: who is one, and what each is told. Whatever a device sends or is sent passes the links
// of the run here, as that of a process does; its agent starts, dies and stands still there. Refuses to go on without a device that
// went away: what the goals would say then is about the device and not about the platform.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeSpec } from '../../scenarios/scenario.ts';
import { describeError, failed, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { findPorts, nodeSettings, type FleetMachine, type FleetMachineHooks, type ForeignNode, type ForeignNodes } from '../local/local.ts';
import { decodeJoinToken, encodeJoinToken } from '../network/network.ts';
import type { Device } from './inventory.ts';
import type { FromHost, HostOrder } from './messages.ts';
import { DeviceSession } from './session.ts';

/** A device that loads the agent in no more than this keeps up in real time: as a process of this machine. */
const START_MS = 600;
/**
 * How many times slower a run passes at least when one does not, as with emulated machines; and so much slower that a start takes no
 * longer than this of the run's time. What it takes is slack beside it.
 */
const PACE_FACTOR = 2;
const START_MS_OF_RUN = 3_000;
/** Bound: what is told of the last words of an agent. */
const LAST_WORDS_MAX = 600;
const MICROS_PER_MS = 1_000;
const SECOND_MS = 1_000;
/** What the scenario or the run says, whatever the inventory does. */
const DECIDED = [
  '--listen',
  '--advertise',
  '--keepalive',
  '--admin',
  '--fault-domain',
  '--location',
  '--cores',
  '--memory',
  '--speed',
  '--hardware',
];

export class DeviceNodes implements ForeignNodes {
  readonly what = 'devices';
  readonly needsDoors = true;
  /** By the name of the node. */
  readonly #sessions: ReadonlyMap<string, DeviceSession>;
  readonly #here: string;
  #broken: Err['error'] | null = null;

  private constructor(sessions: ReadonlyMap<string, DeviceSession>, here: string) {
    this.#sessions = sessions;
    this.#here = here;
  }

  /**
   * Calls every device; each answers and is free. `here` is what a device says that is this machine. WM_DEVICE_UNREACHABLE, WM_DEVICE,
   * WM_TARGET_TOOLS, WM_CANCELLED, rejected where one stands twice in it.
   */
  static async open(
    chosen: ReadonlyMap<string, Device>,
    nodeOf: (device: Device) => string,
    here: string,
    stop: AbortSignal,
  ): Promise<Outcome<DeviceNodes>> {
    const opened = await Promise.all(
      [...chosen].map(async ([node, device]) => ({ node, session: await DeviceSession.open(device, nodeOf(device), stop) })),
    );
    const sessions = new Map(opened.flatMap(({ node, session }) => (session.ok ? [[node, session.value] as const] : [])));
    const nodes = new DeviceNodes(sessions, here);
    const fault = opened.flatMap(({ session }) => (session.ok ? [] : [session]))[0] ?? nodes.#twice();
    if (fault === null) return ok(nodes);
    await nodes.close();
    return fault;
  }

  /** Ports of a device's loopback are the run's: two nodes of one machine would answer for each other. */
  #twice(): Err | null {
    const seen = new Map<string, string>();
    for (const { device, hello } of this.#sessions.values()) {
      const other = seen.get(hello.machine);
      if (other !== undefined && hello.machine !== this.#here)
        return rejected('WM_INVENTORY_INVALID', {
          message: `${other} and ${device.name} are the same machine, and a run takes one node of each.`,
          next: 'Leave one of them out of the inventory.',
        });
      seen.set(hello.machine, device.name);
    }
    return null;
  }

  get paceFactor(): number {
    return this.#startMsMax > START_MS ? Math.max(PACE_FACTOR, Math.ceil(this.#startMsMax / START_MS_OF_RUN)) : 1;
  }

  /** What devices may add to any budget of time beyond what processes do: one start of the slowest. */
  get slackMicros(): number {
    return this.#startMsMax > START_MS ? Math.ceil(this.#startMsMax / SECOND_MS) * SECOND_MS * MICROS_PER_MS : 0;
  }

  get #startMsMax(): number {
    return Math.max(0, ...[...this.#sessions.values()].map(({ hello }) => hello.startMs));
  }

  /** ISA features of each node's processor. */
  isaFeaturesOf(node: string): readonly string[] {
    return this.#sessions.get(node)?.hello.isaFeatures ?? [];
  }

  /** Why nothing can be said of the run, whatever its goals say; null while that is not so. */
  trouble(): { readonly verdict: 'rejected'; readonly trouble: string } | null {
    const lost = [...this.#sessions.values()].find((session) => session.lost !== null)?.lost ?? this.#broken;
    return lost === null ? null : { verdict: 'rejected', trouble: describeError(lost) };
  }

  /** How well records of devices are placed in time, as a sentence. */
  uncertainty(): string {
    const all = [...this.#sessions.values()].map(({ clock }) => clock.uncertaintyMicros);
    return `Times of devices are right within ${(Math.max(...all) / MICROS_PER_MS).toFixed(1)} ms.`;
  }

  has(node: string): boolean {
    return this.#sessions.has(node);
  }

  create(request: Parameters<ForeignNodes['create']>[0]): ForeignNode {
    const session = this.#sessions.get(request.node.node);
    if (session === undefined) throw new Error(`${request.node.node} is to be a device, and nobody called it`);
    const isHere = session.hello.machine === this.#here;
    return new DeviceMachine(session, { ...request, isHere, onBroken: (error) => (this.#broken ??= error) });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
  }
}

type MachineOptions = Parameters<ForeignNodes['create']>[0] & {
  /** The device is this machine: its loopback has all ports of the run already. */
  readonly isHere: boolean;
  readonly onBroken: (error: Err['error']) => void;
};

/** A device in the fleet of a run. What it was ordered to do has happened when its program says so. */
class DeviceMachine implements FleetMachine {
  readonly name: string;
  readonly up: Promise<Outcome<unknown>>;
  readonly records: string;
  readonly clock: DeviceSession['clock'];
  readonly #session: DeviceSession;
  readonly #hooks: FleetMachineHooks;
  readonly #isHere: boolean;
  readonly #onBroken: (error: Err['error']) => void;
  readonly #log: string;
  #up: (outcome: Outcome<unknown>) => void = () => {};
  #process: number | null = null;
  #port = 0;
  /** Its connections are carried, and it has been told what to start. */
  #orders: Promise<void>;

  constructor(session: DeviceSession, options: MachineOptions) {
    const { node, folder, hooks, isHere, onBroken } = options;
    this.name = node.node;
    this.clock = session.clock;
    this.#session = session;
    this.#hooks = hooks;
    this.#isHere = isHere;
    this.#onBroken = onBroken;
    this.up = new Promise((resolve) => (this.#up = resolve));
    const home = join(folder, 'devices');
    mkdirSync(home, { recursive: true, mode: 0o700 });
    this.records = join(home, `${this.name}.jsonl`);
    this.#log = join(home, `${this.name}.log`);
    for (const file of [this.records, this.#log]) appendFileSync(file, '', { mode: 0o600 });
    session.listen({
      hear: (message) => this.#hear(message),
      record: (line) => appendFileSync(this.records, `${line}\n`),
      log: (line) => appendFileSync(this.#log, `${line}\n`),
    });
    this.#orders = this.#prepare(options);
  }

  /** The proxy asks this machine who dials, which only says it of its own processes. */
  get pid(): number | null {
    return this.#isHere ? this.#process : null;
  }

  get port(): number {
    return this.#port;
  }

  commission(): void {
    this.#order('commission');
  }

  start(): void {
    this.#order('start');
  }

  crash(): void {
    this.#order('crash');
  }

  shutDown(): void {
    this.#order('shut-down');
  }

  pause(): void {
    this.#order('pause');
  }

  resume(): void {
    this.#order('resume');
  }

  /** What its network card carries is the device's own business, the session of this run with it. */
  setLink(): void {}

  async stop(): Promise<void> {
    await this.#session.close();
  }

  lastWords(): string {
    return readFileSync(this.#log, 'utf8').slice(-LAST_WORDS_MAX).trim();
  }

  #order(order: HostOrder): void {
    this.#orders = this.#orders.then(() => this.#session.tell({ kind: 'order', order }));
  }

  async #prepare({ node, joinToken, ingressPort, keepaliveMs, doors, isHere }: MachineOptions): Promise<void> {
    const { hello, device } = this.#session;
    const [agentPort, controllerPort] = hello.ports;
    const token = decodeJoinToken(joinToken);
    const [way = ''] = token.ok ? token.value.addresses : [];
    const [port = 0] = await findPorts(1);
    const others = doors.map(({ port: there, door }): { there: number; here: number } => ({ there, here: portOf(door) }));
    const carried = token.ok
      ? await this.#session.carry(
          [{ there: controllerPort, here: portOf(way) }, ...(isHere ? [] : others)],
          [{ there: agentPort, here: port }],
        )
      : token;
    if (!carried.ok) return this.#fail(carried);
    if (!token.ok) return undefined;
    this.#port = port;
    const joins = encodeJoinToken({ ...token.value, addresses: [`127.0.0.1:${controllerPort}`] });
    const addresses = ['--listen', `127.0.0.1:${agentPort}`, '--advertise', `127.0.0.1:${ingressPort}`, '--admin', '127.0.0.1:0'];
    const args = [...addresses, '--keepalive', `${keepaliveMs}ms`, ...settingsOf(node, device)];
    this.#session.tell({ kind: 'agent', node: node.node, args, joinToken: joins });
    return undefined;
  }

  #fail(outcome: Err): void {
    this.#onBroken(outcome.error);
    this.#up(outcome);
  }

  #hear(message: FromHost): void {
    switch (message.kind) {
      case 'started':
        return this.#hooks.onStarted(message.incarnation, this.clock.at(message.micros));
      case 'stopped':
        return this.#hooks.onStopped(message.cause, this.clock.at(message.micros));
      case 'paused':
        return this.#hooks.onPaused(this.clock.at(message.micros));
      case 'resumed':
        return this.#hooks.onResumed(this.clock.at(message.micros));
      case 'process':
        this.#process = message.pid;
        return undefined;
      case 'up':
        return this.#up(ok(message.said));
      case 'refused':
        return this.#fail(failed('WM_DEVICE', { message: `On ${this.#session.device.name}: ${message.why}`, next: message.next }));
      default:
        return undefined;
    }
  }
}

/** What the scenario says of the node, and of the inventory what that leaves open. */
function settingsOf(node: NodeSpec, device: Device): readonly string[] {
  const said = Object.entries(nodeSettings(node)).filter(([name]) => name !== 'name');
  const open = device.flags.filter((flag) => !DECIDED.includes(flag.split('=')[0] ?? ''));
  return [...said.map(([name, value]) => `--${name}=${value}`), ...open];
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}
