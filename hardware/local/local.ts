// The machines of a run as processes of this one: a controller and agents with folders of their own, the links between them, the
// faults that really happen to them, and the record of it all. Owns every process, port, file and mount of a run; refuses what it
// cannot really do. Nothing stays behind, however the runner ends: a keeper process sees to that.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { FleetSpec, NodeSpec, PlatformSpec, Scenario } from '../../scenarios/scenario.ts';
import type { ZonePath } from '../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import { decodeJoinToken, encodeJoinToken, type JoinToken } from '../network/network.ts';
import { Faults } from './faults.ts';
import { Keeper } from './keeper.ts';
import { Links, type Place } from './links.ts';
import { Machine, type FleetMachine, type FleetMachineHooks } from './machine.ts';
import { ownerOfPort } from './owner.ts';
import { measurePace, REAL_TIME, slower, stretch, type Pace } from './pace.ts';
import { findPorts } from './ports.ts';
import { Proxy } from './proxy.ts';
import { Collector, type ForeignClock } from './records.ts';
import type { RunRecord } from '../../scenarios/record.ts';
import { Volume } from './volume.ts';

export { LOCAL_FAULT_KINDS } from './faults.ts';
export { fitScenario } from './fit.ts';
export type { FleetMachine, FleetMachineHooks } from './machine.ts';
export { PACE_MAX, type Pace } from './pace.ts';
export { machineMicros } from './records.ts';

const CONTROLLER = 'controller';
const LOOPBACK = '127.0.0.1';
const MICROS_PER_MS = 1_000;

/** What the controller says when it is up. */
type ControllerUp = { readonly controller: { readonly address: string; readonly joinToken: string; readonly context: string } };

/** A node that is no process of this machine, with a clock and a file of records of its own. */
export type ForeignNode = FleetMachine & { readonly records: string; readonly clock: ForeignClock };

/** Makes the nodes that are no processes. */
export type ForeignNodes = {
  has(node: string): boolean;
  create(request: {
    readonly node: NodeSpec;
    /** Folder of the run. */
    readonly folder: string;
    readonly joinToken: string;
    /** Port of loopback under which others reach the node. */
    readonly ingressPort: number;
    readonly hooks: FleetMachineHooks;
  }): ForeignNode;
  /** `host:port` of loopback, as one of them names it. */
  outside(address: string): string;
  /** How many times slower a run passes for them. */
  readonly paceFactor: number;
};

export type LocalFleetOptions = {
  readonly scenario: Scenario;
  /** The command line, whose verbs `up` and `agent` are the machines. */
  readonly program: string;
  /** Library of the engine addon. */
  readonly engine: string;
  /** Null: as fast as this machine can, which is measured. */
  readonly pace: Pace | null;
  /** Null: every node is a process. */
  readonly foreign: ForeignNodes | null;
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
    this.record = (kind, fields) => this.#collector.record(kind, fields);
    this.#links = new Links(fleet.links);
    this.#proxy = new Proxy(this.#links);
    this.#places.set(CONTROLLER, { name: CONTROLLER, zone: fleet.controller.zone });
    for (const { node, zone } of fleet.nodes) this.#places.set(node, { name: node, zone });
    this.faults = new Faults({
      wallMs: (micros) => (micros * this.#pace.factor) / MICROS_PER_MS,
      proxy: this.#proxy,
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
        fill: (name) => this.#volumes.get(name)?.fill(),
        free: (name) => this.#volumes.get(name)?.free(),
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
      const volume = new Volume(this.#dataOf(name));
      const mounted = volume.mount();
      if (!mounted.ok) return mounted;
      this.#keeper.mounted(this.#dataOf(name));
      this.#volumes.set(name, volume);
    }
    await this.#prepareCode();
    await this.#findPace(names.length);
    const machine = this.#addMachine(CONTROLLER, 'controller', fleet.controller.zone, {}, [
      'up',
      '--listen',
      `${LOOPBACK}:${this.#portOf(CONTROLLER)}`,
      ...timesOf(this.#stretched.platform),
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
    for (const node of this.#stretched.fleet.nodes) {
      const place = this.#placeOf(node.node);
      const controller = await this.openWay(place);
      // Others reach it under one address, and which link that is depends on who they are.
      const ingress = await this.#proxy.open({
        from: (remotePort) => this.#ownerOf(remotePort),
        to: place,
        port: () => this.#machines.get(node.node)?.port ?? 0,
      });
      const machine =
        this.#foreignNode(node, token.value, controller, ingress) ?? this.#processNode(node, token.value, controller, ingress);
      if (node.startMicros === 0) machine.commission();
    }
    return ok();
  }

  /** Known when the controller has started. */
  get pace(): Pace {
    return this.#pace;
  }

  /** From here on the times of the scenario count. */
  begin(): void {
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
    await Promise.all(nodes.map((node) => node.stop()));
    await controller?.stop();
    this.#machines.clear();
    this.#collector.close();
    this.#proxy.close();
    await this.#keeper.close();
  }

  #processNode(node: NodeSpec, token: JoinToken, controller: string, ingress: string): FleetMachine {
    const { foreign } = this.#options;
    const reached = foreign === null ? [ingress] : [ingress, foreign.outside(ingress)];
    const args = ['agent', '--listen', `${LOOPBACK}:${this.#portOf(node.node)}`, '--advertise', reached.join(','), ...factsOf(node)];
    const joinToken = encodeJoinToken({ ...token, addresses: [controller] });
    return this.#addMachine(node.node, 'node', node.zone, { WASMMATRIX_JOIN: joinToken }, args);
  }

  /** Null: it is a process. */
  #foreignNode(node: NodeSpec, token: JoinToken, controller: string, ingress: string): FleetMachine | null {
    const { foreign } = this.#options;
    if (foreign === null || !foreign.has(node.node)) return null;
    const machine = foreign.create({
      node,
      folder: this.folder,
      joinToken: encodeJoinToken({ ...token, addresses: [controller] }),
      ingressPort: Number(ingress.split(':').at(-1)),
      hooks: this.#hooksOf(node.node, 'node', node.zone),
    });
    this.#collector.follow(machine.records, machine.clock);
    this.#machines.set(node.node, machine);
    return machine;
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
      onStarted: (incarnation) => {
        this.#proxy.powerOn(name);
        this.record('machine.started', { machine: name, role, zone, incarnation });
      },
      onStopped: (cause) => this.record('machine.stopped', { machine: name, role, cause }),
      onPaused: () => this.record('machine.paused', { machine: name }),
      onResumed: () => this.record('machine.resumed', { machine: name }),
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
      slower(await measurePace({ processes, program, environment: this.#environment(), folder: this.folder }), foreign?.paceFactor ?? 1);
    this.#stretched = stretch(scenario, this.#pace);
    this.#links.replaceLaws(this.#stretched.fleet.links);
    this.#collector.stretch(this.#pace.factor);
  }

  #environment(): Record<string, string> {
    return { ...environmentOf(process.env), WASMMATRIX_ENGINE: this.#options.engine, NODE_COMPILE_CACHE: join(this.folder, 'code') };
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

/** What a process of ours needs of the environment; nothing that would set it otherwise. */
function environmentOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME'];
  return Object.fromEntries(kept.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
}

function timesOf(platform: PlatformSpec): readonly string[] {
  return [
    '--heartbeat',
    `${platform.heartbeatIntervalMs}ms`,
    '--suspect',
    `${platform.suspectAfterMs}ms`,
    '--unavailable',
    `${platform.unavailableAfterMs}ms`,
    '--lease',
    `${platform.leaseMs}ms`,
    '--queue',
    String(platform.queueEventsMax),
  ];
}

/** What an agent is told of its node, by the names of its settings. */
export function nodeSettings(node: NodeSpec): Readonly<Record<string, string>> {
  return {
    name: node.node,
    zone: node.zone,
    'fault-domain': node.faultDomain,
    location: `${node.location.latitude},${node.location.longitude}`,
    cores: String(node.cores),
    memory: `${node.memoryBytes}B`,
    speed: String(node.fuelPerMicro),
    ...(node.hardware.length === 0 ? {} : { hardware: node.hardware.join(',') }),
  };
}

/** In one piece each: negative degrees would look like a flag. */
function factsOf(node: NodeSpec): readonly string[] {
  return Object.entries(nodeSettings(node)).map(([name, value]) => `--${name}=${value}`);
}
