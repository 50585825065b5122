// What breaks in the simulated world, and how it heals. Each fault is recorded when it begins and when it ends, and ends on its
// own or by `healAll`. Faults may overlap: a machine starts again when the last crash of it has ended.
import type { FaultKind, FaultSpec, FleetFeature } from '../../scenarios/scenario.ts';
import { assert, assertNever, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { Kernel, MachineTime, ScheduledEvent } from '../kernel/kernel.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { Disk } from '../storage/storage.ts';
import type { ServiceFaults } from './services.ts';
import type { SimNetwork } from '../network/network.ts';
import { detailOf, targetOf } from './words.ts';
import { Swizzles } from './swizzle.ts';

export { Rogue } from './rogue.ts';
export { ServiceFaults } from './services.ts';

export const SIM_FAULT_KINDS: readonly FaultKind[] = [
  'crash',
  'pause',
  'reboot',
  'upgrade',
  'wipe',
  'restore',
  'throttle',
  'memory-pressure',
  'clock-step',
  'clock-drift',
  'clock-freeze',
  'partition',
  'partition-one-way',
  'latency',
  'loss',
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'clog',
  'swizzle',
  'half-open',
  'disk-full',
  'disk-slow',
  'disk-lies',
  'disk-rot',
  'forge-artefact',
  'broker-outage',
  'broker-slow',
  'broker-loses-answers',
  'broker-repeats',
  'reset-connections',
  'spoil-artefact',
  'garbage',
];

export const SIM_FLEET_FEATURES: readonly FleetFeature[] = [
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'vehicles',
  'thermal',
  'battery',
  'clock',
];

/** While one of these lasts, its machine is off. */
const OFF: readonly FaultKind[] = ['crash', 'reboot', 'upgrade', 'wipe'];

/** Machines as faults move them; each does nothing when the machine is in that state already. */
export type MachineControl = {
  readonly knows: (machine: string) => boolean;
  readonly crash: (machine: string) => void;
  readonly start: (machine: string) => void;
  readonly pause: (machine: string) => void;
  readonly resume: (machine: string) => void;
  /** `felt` is called whenever work takes longer for it. */
  readonly throttle: (machine: string, slowness: number, felt: () => void) => void;
  /** Ends the process of the machine whenever its guests hold more than `leavesBytes`; null: no more. */
  readonly squeeze: (machine: string, leavesBytes: number | null, felt: () => void) => void;
  readonly clocks: (machine: string) => Pick<MachineTime, 'step' | 'drift' | 'freeze' | 'onFelt'>;
  /** On, and not paused. */
  readonly runs: (machine: string) => boolean;
  /** In order; `start` starts it again. */
  readonly shutDown: (machine: string) => void;
  /** The version of its agent from the next start on. */
  readonly install: (machine: string, version: string) => void;
  /** Begins or ends garbage from this machine. */
  readonly babble: (machine: string, lasting: boolean, felt: () => void) => void;
  readonly disk: (machine: string) => Pick<Disk, 'lie' | 'rot' | 'wipe' | 'copy' | 'restore' | 'slowness' | 'onFelt' | 'isEmpty'>;
  /** An operator put another disk or an older copy in place of its disk, and says so to what starts there next. */
  readonly restored: (machine: string) => void;
  /** From here on its disk has no room, until `free`. */
  readonly fill: (machine: string) => void;
  readonly free: (machine: string) => void;
};

export type FaultOptions = {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly keys: KeyRing;
  readonly services: ServiceFaults;
  readonly machines: MachineControl;
  readonly telemetry: Telemetry;
};

type Active = {
  readonly spec: FaultSpec;
  readonly end: ScheduledEvent | null;
  felt: boolean;
  /** What puts a copy back, until it has. */
  restoring: ScheduledEvent | null;
};

export class Faults {
  readonly #options: FaultOptions;
  /** Bound: the faults of one scenario. */
  readonly #active = new Map<string, Active>();
  readonly #swizzles: Swizzles;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.#swizzles = new Swizzles(options.kernel, options.network);
  }

  inject(id: string, spec: FaultSpec): Outcome<void> {
    const { kernel, machines, telemetry } = this.#options;
    if ('machine' in spec && !machines.knows(spec.machine)) {
      return rejected('WM_SCENARIO_INVALID', {
        message: `Fault ${id} is about ${spec.machine}, which is no machine of the fleet.`,
        next: 'Name a node of the fleet, or controller.',
      });
    }
    assert(!this.#active.has(id), `fault ${id} begins once`);
    const end = spec.forMicros === null ? null : kernel.after(spec.forMicros, null, 'fault ends', () => this.#end(id));
    this.#active.set(id, { spec, end, felt: false, restoring: null });
    telemetry.record('fault.begun', { fault: id, kind: spec.kind, target: targetOf(spec), detail: detailOf(spec) });
    this.#begin(id, spec);
    return ok();
  }

  /** True while a fault keeps this machine off. */
  keepsOff(machine: string): boolean {
    const restored = [...this.#active.values()].some(
      ({ spec, restoring }) => spec.kind === 'restore' && spec.machine === machine && restoring === null,
    );
    return restored || this.#isUnder(OFF, machine);
  }

  healAll(): void {
    for (const [id, { end }] of [...this.#active]) {
      end?.cancel();
      this.#end(id);
    }
  }

  /** It changed something: told once for each fault. */
  #feel(id: string): void {
    const active = this.#active.get(id);
    if (active === undefined || active.felt) return;
    active.felt = true;
    this.#options.telemetry.record('fault.felt', { fault: id, kind: active.spec.kind, target: targetOf(active.spec) });
  }

  #feelKind(kind: FaultKind, machine: string | null): void {
    for (const [id, { spec }] of this.#active)
      if (spec.kind === kind && (machine === null || ('machine' in spec && spec.machine === machine))) this.#feel(id);
  }

  /** An artefact got a signature of the fault `forge-artefact`. */
  forged(): void {
    this.#feelKind('forge-artefact', null);
  }

  #begin(id: string, spec: FaultSpec): void {
    const { network, keys, services, machines } = this.#options;
    const felt = (): void => this.#feel(id);
    switch (spec.kind) {
      case 'crash':
        if (machines.runs(spec.machine)) felt();
        return machines.crash(spec.machine);
      case 'pause':
        if (machines.runs(spec.machine)) felt();
        return machines.pause(spec.machine);
      case 'reboot':
        if (machines.runs(spec.machine)) felt();
        return machines.shutDown(spec.machine);
      case 'upgrade':
        felt();
        machines.install(spec.machine, spec.version);
        return machines.shutDown(spec.machine);
      case 'wipe':
        if (machines.runs(spec.machine) || !machines.disk(spec.machine).isEmpty) felt();
        machines.crash(spec.machine);
        machines.restored(spec.machine);
        return machines.disk(spec.machine).wipe();
      case 'restore':
        return this.#restoreLater(id, spec);
      case 'disk-slow':
        this.#watchDisk(spec.machine);
        machines.disk(spec.machine).slowness = this.#slownessOf('disk-slow', spec.machine);
        return;
      case 'disk-lies':
        this.#watchDisk(spec.machine);
        return machines.disk(spec.machine).lie(true);
      case 'disk-rot':
        if (machines.disk(spec.machine).rot(spec.lastCopy)) felt();
        return;
      case 'throttle':
        return this.#throttle(spec.machine);
      case 'memory-pressure':
        return this.#squeeze(spec.machine);
      case 'clock-step':
        this.#watchClock(spec.machine);
        return machines.clocks(spec.machine).step(spec.byMicros);
      case 'clock-drift':
        this.#watchClock(spec.machine);
        return machines.clocks(spec.machine).drift(spec.ppm, true);
      case 'clock-freeze':
        this.#watchClock(spec.machine);
        return machines.clocks(spec.machine).freeze(true);
      case 'partition':
      case 'partition-one-way':
      case 'clog':
      case 'half-open':
      case 'latency':
      case 'loss':
      case 'bandwidth':
      case 'burst-loss':
      case 'duplication':
      case 'reordering':
      case 'corruption':
        return network.begin(id, spec, felt);
      case 'swizzle':
        return this.#swizzles.begin(id, spec, felt);
      case 'disk-full':
        this.#watchDisk(spec.machine);
        return machines.fill(spec.machine);
      case 'forge-artefact':
        return keys.forge(true);
      case 'broker-outage':
      case 'broker-slow':
      case 'broker-loses-answers':
      case 'broker-repeats':
      case 'spoil-artefact':
        return services.begin(id, spec, felt);
      case 'reset-connections':
        if (network.reset(spec.machine, services.witness) > 0) felt();
        return;
      case 'garbage':
        return machines.babble(spec.machine, true, () => this.#feelKind('garbage', spec.machine));
      default:
        return assertNever(spec, 'the begin of a fault');
    }
  }

  #end(id: string): void {
    const active = this.#active.get(id);
    if (active === undefined) return;
    const { spec } = active;
    const { kernel, network, keys, services, machines, telemetry } = this.#options;
    this.#active.delete(id);
    telemetry.record('fault.ended', { fault: id, kind: spec.kind, target: targetOf(spec) });
    switch (spec.kind) {
      case 'crash':
      case 'reboot':
      case 'upgrade':
      case 'wipe':
      case 'restore':
        // One that was healed before it was put back was a backup that nobody needed.
        active.restoring?.cancel();
        // An event of its own: a machine does not boot in the event that crashed it.
        kernel.after(0, null, 'power returns', () => {
          if (!this.keepsOff(spec.machine)) machines.start(spec.machine);
        });
        return;
      case 'pause':
        if (!this.#isUnder(['pause'], spec.machine)) machines.resume(spec.machine);
        return;
      case 'disk-slow':
        machines.disk(spec.machine).slowness = this.#slownessOf('disk-slow', spec.machine);
        return;
      case 'disk-lies':
        if (!this.#isUnder(['disk-lies'], spec.machine)) machines.disk(spec.machine).lie(false);
        return;
      case 'disk-rot':
      case 'reset-connections':
        return;
      case 'throttle':
        return this.#throttle(spec.machine);
      case 'memory-pressure':
        return this.#squeeze(spec.machine);
      case 'clock-step':
        return machines.clocks(spec.machine).step(-spec.byMicros);
      case 'clock-drift':
        return machines.clocks(spec.machine).drift(spec.ppm, false);
      case 'clock-freeze':
        return machines.clocks(spec.machine).freeze(false);
      case 'disk-full':
        if (!this.#isUnder(['disk-full'], spec.machine)) machines.free(spec.machine);
        return;
      case 'partition':
      case 'partition-one-way':
      case 'clog':
      case 'half-open':
      case 'latency':
      case 'loss':
      case 'bandwidth':
      case 'burst-loss':
      case 'duplication':
      case 'reordering':
      case 'corruption':
        return network.end(id);
      case 'swizzle':
        return this.#swizzles.end(id);
      case 'forge-artefact':
        return keys.forge(false);
      case 'broker-outage':
      case 'broker-slow':
      case 'broker-loses-answers':
      case 'broker-repeats':
      case 'spoil-artefact':
        return services.end(id);
      case 'garbage':
        if (!this.#isUnder(['garbage'], spec.machine)) machines.babble(spec.machine, false, () => {});
        return;
      default:
        return assertNever(spec, 'the end of a fault');
    }
  }

  #restoreLater(id: string, { machine, offMicros, forMicros }: Extract<FaultSpec, { readonly kind: 'restore' }>): void {
    const { kernel, machines } = this.#options;
    const copy = machines.disk(machine).copy();
    const active = this.#active.get(id);
    assert(active !== undefined, `fault ${id} has begun`);
    active.restoring = kernel.after(forMicros - offMicros, null, 'copy put back', () => {
      active.restoring = null;
      this.#feel(id);
      machines.crash(machine);
      machines.disk(machine).restore(copy);
      machines.restored(machine);
    });
  }

  /** Of several the one that leaves least counts. */
  #squeeze(machine: string): void {
    let leavesBytes: number | null = null;
    for (const { spec } of this.#active.values())
      if (spec.kind === 'memory-pressure' && spec.machine === machine) leavesBytes = Math.min(leavesBytes ?? Infinity, spec.leavesBytes);
    this.#options.machines.squeeze(machine, leavesBytes, () => this.#feelKind('memory-pressure', machine));
  }

  #throttle(machine: string): void {
    this.#options.machines.throttle(machine, this.#slownessOf('throttle', machine), () => this.#feelKind('throttle', machine));
  }

  #watchDisk(machine: string): void {
    this.#options.machines.disk(machine).onFelt = (fault) => this.#feelKind(`disk-${fault}`, machine);
  }

  #watchClock(machine: string): void {
    this.#options.machines.clocks(machine).onFelt = (fault) => this.#feelKind(`clock-${fault}`, machine);
  }

  /** Faults that overlap multiply. */
  #slownessOf(kind: 'throttle' | 'disk-slow', machine: string): number {
    let slowness = 1;
    for (const { spec } of this.#active.values()) if (spec.kind === kind && spec.machine === machine) slowness *= spec.factor;
    return slowness;
  }

  #isUnder(kinds: readonly FaultKind[], machine: string): boolean {
    return [...this.#active.values()].some(({ spec }) => 'machine' in spec && spec.machine === machine && kinds.includes(spec.kind));
  }
}
