// The machines of a run as processes of this one: a controller and agents with folders of their own, the links between them, the
// faults that really happen to them, and the record of it all. Owns every process, port, file and mount of a run; refuses what it
// cannot really do. Nothing stays behind, however the runner ends: a keeper process sees to that.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { FleetSpec, NodeSpec, Scenario } from '../../scenarios/scenario.ts';
import type { ZonePath } from '../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import { decodeJoinToken, encodeJoinToken, type JoinToken } from '../network/network.ts';
import { Faults } from './faults.ts';
import { Keeper } from './keeper.ts';
import type { Door, ForeignNodes } from './foreign.ts';
import { Links, type Place } from './links.ts';
import { Machine, type FleetMachine, type FleetMachineHooks } from './machine.ts';
import { ownerOfPort } from './owner.ts';
import { measurePace, REAL_TIME, slower, stretch, type Pace } from './pace.ts';
import { factsOf, timesOf } from './told.ts';
import { findPorts } from './ports.ts';
import { Proxy } from './proxy.ts';
import { Collector } from './records.ts';
import type { RunRecord } from '../../scenarios/record.ts';
import { Volume } from './volume.ts';

export { CLOCK_FAULT_KINDS, LOCAL_FAULT_KINDS } from './faults.ts';
export type { Door, ForeignContext, ForeignNode, ForeignNodes } from './foreign.ts';
export type { LinkFault } from './links.ts';
export { fitScenario } from './fit.ts';
export type { FleetMachine, FleetMachineHooks } from './machine.ts';
export { PACE_MAX, stretchCommand, type Pace } from './pace.ts';
export { findPorts } from './ports.ts';
export { machineMicros, type ForeignClock } from './records.ts';
export { nodeSettings } from './told.ts';

const CONTROLLER = 'controller';
const LOOPBACK = '127.0.0.1';
/** Where processes are from that carry the links of their nodes themselves: beyond every link of the proxy. */
const BEYOND: Place = { name: 'beyond the links', zone: 'beyond' as ZonePath };
const MICROS_PER_MS = 1_000;
/** Silence before a connection is probed, in the run's time: the simulated network assumes the same. */
const KEEPALIVE_MS = 10_000;

/** What the controller says when it is up. */
type ControllerUp = { readonly controller: { readonly address: string; readonly joinToken: string; readonly context: string } };

export type LocalFleetOptions = {
  readonly scenario: Scenario;
  /** The command line, whose verbs `up` and `agent` are the machines. */
  readonly program: string;
  /** Library of the engine addon. */
  readonly engine: string;
  /** Null: as fast as this machine can, which is measured. */
  readonly pace: Pace | null;
  /** Nodes that are no processes of their own, of each kind. */
  readonly foreign: readonly ForeignNodes[];
  /** In the order of time; `micros` is the machine's. */
  readonly onRecord: (record: RunRecord) => void;
};

export class LocalFleet {
  readonly folder: string;
  readonly faults: Faults;
  readonly record: Collector['record'];
  readonly #options: LocalFleetOptions;
  readonly #collector: Collector;
  readonly #keeper: Keeper;
  readonly #links: Links;
  readonly #proxy: Proxy;
  readonly #machines = new Map<string, FleetMachine>();
  /** Emulated machines without any link, whose network card is told so. */
  readonly #unlinked = new Set<string>();
  readonly #places = new Map<string, Place>();
  readonly #ports = new Map<string, number>();
  readonly #volumes = new Map<string, Volume>();
  readonly #timers: NodeJS.Timeout[] = [];
  /** With the times of the wall. */
  #stretched: Scenario;
  #pace = REAL_TIME;

  constructor(options: LocalFleetOptions) {
    const { fleet } = options.scenario;
    this.#options = options;
    this.#stretched = options.scenario;
    this.folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-local-'));
    this.#keeper = new Keeper(this.folder);
    this.#collector = new Collector({ onRecord: options.onRecord });
    this.record = (kind, fields, micros) => this.#collector.record(kind, fields, micros);
    this.#links = new Links(fleet.links);
    this.#proxy = new Proxy(this.#links);
    this.#places.set(CONTROLLER, { name: CONTROLLER, zone: fleet.controller.zone });
    for (const { node, zone } of fleet.nodes) this.#places.set(node, { name: node, zone });
    this.faults = new Faults({
      wallMs: (micros) => (micros * this.#pace.factor) / MICROS_PER_MS,
      links: {
        begin: (id, fault) => {
          this.#proxy.begin(id, fault);
          for (const kind of options.foreign) kind.begin?.(id, fault);
        },
        end: (id) => {
          this.#proxy.end(id);
          for (const kind of options.foreign) kind.end?.(id);
        },
      },
      record: this.record,
      machines: {
        knows: (name) => this.#machines.has(name),
        crash: (name) => {
          // The power goes first: what the kernel says of the sockets of a dead process was never said.
          this.#proxy.powerOff(name);
          this.#machines.get(name)?.crash();
        },
        start: (name) => this.#machines.get(name)?.start(),
        pause: (name) => this.#machines.get(name)?.pause(),
        resume: (name) => this.#machines.get(name)?.resume(),
        shutDown: (name) => this.#machines.get(name)?.shutDown(),
        fill: (name) => this.#setFull(name, true),
        free: (name) => this.#setFull(name, false),
        setClock: (name, { byMicros, ppm }) => this.#machines.get(name)?.setClock?.({ byMicros: byMicros * this.#pace.factor, ppm }),
        linksChanged: () => this.#tellLinks(),
      },
    });
  }

  /** Starts the controller; resolves when it answers, with the file of an operator's context. */
  async startController(): Promise<Outcome<{ readonly context: string; readonly nodeToken: string }>> {
    const { fleet, steps } = this.#options.scenario;
    const names = [...this.#places.keys()];
    const ports = await findPorts(names.length);
    for (const [i, name] of names.entries()) this.#ports.set(name, ports[i] ?? 0);
    for (const name of names) mkdirSync(this.#dataOf(name), { recursive: true });
    const filled = new Set(steps.flatMap((step) => (step.do === 'fault' && step.fault.kind === 'disk-full' ? [step.fault.machine] : [])));
    for (const name of filled) {
      if (this.#kindOf(name) !== null) continue;
      const volume = new Volume(this.#dataOf(name));
      const mounted = volume.mount();
      if (!mounted.ok) return mounted;
      this.#keeper.mounted(this.#dataOf(name));
      this.#volumes.set(name, volume);
    }
    await this.#prepareCode();
    await this.#findPace(names.filter((name) => this.#kindOf(name)?.open === undefined).length);
    const machine = this.#addMachine(CONTROLLER, 'controller', fleet.controller.zone, {}, [
      'up',
      '--listen',
      `${LOOPBACK}:${this.#portOf(CONTROLLER)}`,
      ...timesOf(this.#stretched.platform),
      ...this.#keepalive(),
    ]);
    machine.commission();
    const up = await machine.up;
    if (!up.ok) return up;
    const { controller } = up.value as ControllerUp;
    return ok({ context: controller.context, nodeToken: controller.joinToken });
  }

  /** Starts the agents that are there from the beginning; the others follow at their times. */
  async startNodes(nodeToken: string): Promise<Outcome<void>> {
    const token = decodeJoinToken(nodeToken);
    if (!token.ok) return token;
    const opened = await this.#openForeign(token.value);
    if (!opened.ok) return opened;
    const ingresses = await this.#openIngresses();
    for (const node of this.#stretched.fleet.nodes) {
      const ingress = ingresses.get(node.node);
      if (ingress === undefined) {
        const machine = this.#foreignNode(node, '', 0, []);
        if (node.startMicros === 0) machine?.commission();
        continue;
      }
      const joinToken = encodeJoinToken({ ...token.value, addresses: [await this.openWay(this.#placeOf(node.node))] });
      const doors = this.#kindOf(node.node)?.needsDoors === true ? await this.#doorsOf(node.node, ingresses) : [];
      const machine = this.#foreignNode(node, joinToken, portOf(ingress), doors) ?? this.#processNode(node, joinToken, ingress);
      if (node.startMicros === 0) machine.commission();
    }
    return ok();
  }

  /** Others reach a node under one address, and which link that is depends on who they are. Nobody dials those that share a process. */
  async #openIngresses(): Promise<ReadonlyMap<string, string>> {
    const ingresses = new Map<string, string>();
    for (const { node } of this.#stretched.fleet.nodes) {
      if (this.#kindOf(node)?.open !== undefined) continue;
      const from = (remotePort: number): Place | null => this.#ownerOf(remotePort);
      ingresses.set(node, await this.#openTo(node, from));
    }
    return ingresses;
  }

  async #doorsOf(from: string, ingresses: ReadonlyMap<string, string>): Promise<readonly Door[]> {
    const doors: Door[] = [];
    for (const [node, ingress] of ingresses) {
      if (node !== from) doors.push({ port: portOf(ingress), door: await this.#openTo(node, this.#placeOf(from)) });
    }
    return doors;
  }

  #openTo(node: string, from: Place | ((remotePort: number) => Place | null)): Promise<string> {
    return this.#proxy.open({ from, to: this.#placeOf(node), port: () => this.#machines.get(node)?.port ?? 0 });
  }

  /** Known when the controller has started. */
  get pace(): Pace {
    return this.#pace;
  }

  get keepaliveMs(): number {
    return Math.ceil(KEEPALIVE_MS * this.#pace.factor);
  }

  /** From here on the times of the scenario count. */
  begin(): void {
    for (const kind of this.#options.foreign) kind.measure?.();
    for (const { node, startMicros } of this.#stretched.fleet.nodes) {
      if (startMicros > 0) this.#timers.push(setTimeout(() => this.#machines.get(node)?.commission(), startMicros / MICROS_PER_MS));
    }
  }

  /** `host:port` under which somebody at this place reaches the controller. */
  openWay(from: Place): Promise<string> {
    return this.#proxy.open({ from, to: this.#placeOf(CONTROLLER), port: () => this.#portOf(CONTROLLER) });
  }

  /** Why a machine is not there, in its own last words; empty when it said nothing. */
  lastWordsOf(name: string): string {
    return this.#machines.get(name)?.lastWords() ?? '';
  }

  settle(): Promise<void> {
    return this.#collector.settle();
  }

  /** Agents, controller, and everything else. Idempotent. */
  async stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    this.faults.healAll();
    const controller = this.#machines.get(CONTROLLER);
    const nodes = [...this.#machines.values()].filter((machine) => machine !== controller);
    await Promise.all([...nodes.map((node) => node.stop()), ...this.#options.foreign.map((kind) => kind.close?.())]);
    await controller?.stop();
    this.#machines.clear();
    this.#collector.close();
    this.#proxy.close();
    await this.#keeper.close();
  }

  #kindOf(node: string): ForeignNodes | null {
    return this.#options.foreign.find((kind) => kind.has(node)) ?? null;
  }

  async #openForeign(token: JoinToken): Promise<Outcome<void>> {
    for (const kind of this.#options.foreign) {
      if (kind.open === undefined) continue;
      const opened = await kind.open({
        fleet: this.#stretched.fleet,
        folder: this.folder,
        joinToken: encodeJoinToken({ ...token, addresses: [await this.openWay(BEYOND)] }),
        paceFactor: this.#pace.factor,
        environment: this.#environment(),
        ways: await this.#waysPastLinks(),
        began: (pid) => this.#keeper.began(pid),
        ended: (pid) => this.#keeper.ended(pid),
      });
      if (!opened.ok) return opened;
      if (kind.records !== undefined) this.#collector.follow(kind.records(this.folder));
    }
    return ok();
  }

  /** To nodes that have a port, for those whose links are simulated elsewhere. */
  async #waysPastLinks(): Promise<Readonly<Record<string, string>>> {
    const ways: Record<string, string> = {};
    for (const { node } of this.#stretched.fleet.nodes) {
      if (this.#kindOf(node)?.open !== undefined) continue;
      ways[node] = await this.#openTo(node, BEYOND);
    }
    return ways;
  }

  #processNode(node: NodeSpec, joinToken: string, ingress: string): FleetMachine {
    const inside = this.#options.foreign.flatMap((kind) => kind.outside?.(ingress) ?? []);
    const args = ['agent', '--listen', `${LOOPBACK}:${this.#portOf(node.node)}`, '--advertise', [ingress, ...inside].join(',')];
    return this.#addMachine(node.node, 'node', node.zone, { WASMMATRIX_JOIN: joinToken }, [
      ...args,
      ...factsOf(node),
      ...this.#keepalive(),
    ]);
  }

  /** Null: it is a process. */
  #foreignNode(node: NodeSpec, joinToken: string, ingressPort: number, doors: readonly Door[]): FleetMachine | null {
    const hooks = this.#hooksOf(node.node, 'node', node.zone);
    const { folder, keepaliveMs } = this;
    const machine = this.#kindOf(node.node)?.create({ node, folder, joinToken, ingressPort, keepaliveMs, doors, hooks }) ?? null;
    if (machine === null) return null;
    if (machine.records !== null) this.#collector.follow(machine.records, machine.clock);
    this.#machines.set(node.node, machine);
    return machine;
  }

  #setFull(name: string, isFull: boolean): void {
    this.#machines.get(name)?.setFull?.(isFull);
    if (isFull) this.#volumes.get(name)?.fill();
    else this.#volumes.get(name)?.free();
  }

  #addMachine(
    name: string,
    role: 'controller' | 'node',
    zone: ZonePath,
    environment: Readonly<Record<string, string>>,
    args: readonly string[],
  ): FleetMachine {
    const records = join(this.folder, `${name}.jsonl`);
    this.#collector.follow(records);
    const data = ['--json', '--data', this.#dataOf(name), '--admin', `${LOOPBACK}:0`];
    const machine = new Machine({
      name,
      port: this.#portOf(name),
      command: () => [this.#options.program, ...args, ...data, '--log-format', 'text', '--log-records', records],
      environment: { ...this.#environment(), ...environment },
      log: join(this.folder, `${name}.log`),
      hooks: this.#hooksOf(name, role, zone),
    });
    this.#machines.set(name, machine);
    return machine;
  }

  #hooksOf(name: string, role: 'controller' | 'node', zone: ZonePath): FleetMachineHooks {
    return {
      isKeptOff: () => this.faults.keepsOff(name),
      onStarted: (incarnation, micros) => {
        this.#proxy.powerOn(name);
        this.record('machine.started', { machine: name, role, zone, incarnation }, micros);
      },
      onStopped: (cause, micros) => this.record('machine.stopped', { machine: name, role, cause }, micros),
      onPaused: (micros) => this.record('machine.paused', { machine: name }, micros),
      onResumed: (micros) => this.record('machine.resumed', { machine: name }, micros),
      began: (pid) => this.#keeper.began(pid),
      ended: (pid) => this.#keeper.ended(pid),
      onTrouble: (message) => this.record('log', { level: 'warn', message }),
    };
  }

  /** A machine that is cut off from every other has no link at its network card either. */
  #tellLinks(): void {
    const places = [...this.#places.values()];
    for (const [name, machine] of this.#machines) {
      const place = this.#placeOf(name);
      const isCut = places.every((other) => other === place || this.#links.stateOf(place, other).cut);
      if (isCut === this.#unlinked.has(name)) continue;
      if (isCut) this.#unlinked.add(name);
      else this.#unlinked.delete(name);
      machine.setLink(!isCut);
    }
  }

  /** Compiles the program once for all its processes: each then starts in half the time, which on a busy machine is seconds. */
  #prepareCode(): Promise<void> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [this.#options.program, 'agent', '--help'], { env: this.#environment(), stdio: 'ignore' });
      // Without it they start all the same.
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  }

  async #findPace(processes: number): Promise<void> {
    const { pace, program, scenario, foreign } = this.#options;
    this.#pace =
      pace ??
      slower(
        await measurePace({ processes, program, environment: this.#environment(), folder: this.folder }),
        foreign.reduce<ForeignNodes | null>((slowest, kind) => (kind.paceFactor > (slowest?.paceFactor ?? 1) ? kind : slowest), null),
      );
    this.#stretched = stretch(scenario, this.#pace);
    this.#links.replaceLaws(this.#stretched.fleet.links, this.#pace.factor);
    this.#collector.stretch(this.#pace.factor);
  }

  #environment(): Record<string, string> {
    return { ...environmentOf(process.env), WASMMATRIX_ENGINE: this.#options.engine, NODE_COMPILE_CACHE: join(this.folder, 'code') };
  }

  #keepalive(): readonly string[] {
    return ['--keepalive', `${this.keepaliveMs}ms`];
  }

  #ownerOf(port: number): Place | null {
    const pids = new Map<number, string>();
    for (const [name, { pid }] of this.#machines) if (pid !== null) pids.set(pid, name);
    const owner = ownerOfPort(port, [...pids.keys()]);
    return owner === null ? null : this.#placeOf(pids.get(owner) ?? '');
  }

  #dataOf(name: string): string {
    return join(this.folder, name);
  }

  #portOf(name: string): number {
    return this.#ports.get(name) ?? 0;
  }

  #placeOf(name: string): Place {
    const place = this.#places.get(name);
    if (place === undefined) throw new Error(`${name} is no machine of the fleet`);
    return place;
  }
}

export function placesOf({ controller, zones }: FleetSpec): { readonly operator: Place; readonly publishers: readonly Place[] } {
  return {
    operator: { name: 'operator', zone: controller.zone },
    publishers: zones.map(({ zone }) => ({ name: `publisher in ${zone}`, zone })),
  };
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}

/** What a process of ours needs of the environment; nothing that would set it otherwise. */
function environmentOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME'];
  return Object.fromEntries(kept.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
}
