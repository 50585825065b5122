// What breaks on real processes, and how it heals. Each fault is recorded when it begins and when it ends, and ends on its own or
// by `healAll`. Faults may overlap: a machine starts again when the last crash of it has ended.
import type { FaultKind, FaultSpec } from '../../scenarios/scenario.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import type { LinkFault } from './links.ts';

/**
 * What is missing cannot be done to processes: the controller's key is its own, and processes share the clock and the
 * processor of the machine that they run on.
 */
export const LOCAL_FAULT_KINDS: readonly FaultKind[] = ['crash', 'pause', 'reboot', 'partition', 'latency', 'loss', 'disk-full'];

/** What machines with a clock of their own add to them. That civil time alone stands still is nothing that can be done to one. */
export const CLOCK_FAULT_KINDS: readonly FaultKind[] = ['clock-step', 'clock-drift'];

/** While one of these lasts, its machine is off. */
const OFF: readonly FaultKind[] = ['crash', 'reboot'];

/** Machines as faults move them; each does nothing when the machine is in that state already. */
export type MachineControl = {
  readonly knows: (machine: string) => boolean;
  readonly crash: (machine: string) => void;
  readonly start: (machine: string) => void;
  /** In order; it stays off until it is started. */
  readonly shutDown: (machine: string) => void;
  readonly pause: (machine: string) => void;
  readonly resume: (machine: string) => void;
  readonly fill: (machine: string) => void;
  readonly free: (machine: string) => void;
  /** Civil time off by `byMicros` of the run, and everything by `ppm`. */
  readonly setClock: (machine: string, clock: { readonly byMicros: number; readonly ppm: number }) => void;
  /** A partition began or ended. */
  readonly linksChanged: () => void;
};

/** Everything that carries messages between machines; each is told of every fault of links. */
export type LinkControl = {
  readonly begin: (id: string, fault: LinkFault) => void;
  readonly end: (id: string) => void;
};

export type FaultOptions = {
  /** How long a time of the run is by the wall, in milliseconds. */
  readonly wallMs: (micros: number) => number;
  readonly links: LinkControl;
  readonly machines: MachineControl;
  readonly record: <K extends RecordKind>(kind: K, fields: Readonly<RecordKinds[K]>) => void;
};

type Active = { readonly spec: FaultSpec; readonly end: NodeJS.Timeout | null };

export class Faults {
  readonly #options: FaultOptions;
  /** Bound: the faults of one scenario. */
  readonly #active = new Map<string, Active>();

  constructor(options: FaultOptions) {
    this.#options = options;
  }

  inject(id: string, spec: FaultSpec): Outcome<void> {
    const { machines, record } = this.#options;
    if ('machine' in spec && !machines.knows(spec.machine)) {
      return rejected('WM_SCENARIO_INVALID', {
        message: `Fault ${id} is about ${spec.machine}, which is no machine of the fleet.`,
        next: 'Name a node of the fleet, or controller.',
      });
    }
    const end = spec.forMicros === null ? null : setTimeout(() => this.#end(id), this.#options.wallMs(spec.forMicros));
    this.#active.set(id, { spec, end });
    record('fault.begun', { fault: id, kind: spec.kind, target: targetOf(spec), detail: detailOf(spec) });
    this.#begin(id, spec);
    return ok();
  }

  /** True while a fault keeps this machine off. */
  keepsOff(machine: string): boolean {
    return this.#isUnder(OFF, machine);
  }

  healAll(): void {
    for (const [id, { end }] of [...this.#active]) {
      if (end !== null) clearTimeout(end);
      this.#end(id);
    }
  }

  #begin(id: string, spec: FaultSpec): void {
    const { links, machines } = this.#options;
    switch (spec.kind) {
      case 'crash':
        return machines.crash(spec.machine);
      case 'pause':
        return machines.pause(spec.machine);
      case 'reboot':
        return machines.shutDown(spec.machine);
      case 'partition':
      case 'latency':
      case 'loss':
        links.begin(id, spec);
        return machines.linksChanged();
      case 'disk-full':
        return machines.fill(spec.machine);
      case 'clock-step':
      case 'clock-drift':
        return machines.setClock(spec.machine, this.#clockOf(spec.machine));
      default:
    }
  }

  #end(id: string): void {
    const active = this.#active.get(id);
    if (active === undefined) return;
    const { spec } = active;
    const { links, machines, record } = this.#options;
    this.#active.delete(id);
    record('fault.ended', { fault: id, kind: spec.kind, target: targetOf(spec) });
    switch (spec.kind) {
      case 'crash':
      case 'reboot':
        if (!this.keepsOff(spec.machine)) machines.start(spec.machine);
        return;
      case 'pause':
        if (!this.#isUnder(['pause'], spec.machine)) machines.resume(spec.machine);
        return;
      case 'partition':
      case 'latency':
      case 'loss':
        links.end(id);
        return machines.linksChanged();
      case 'disk-full':
        if (!this.#isUnder(['disk-full'], spec.machine)) machines.free(spec.machine);
        return;
      case 'clock-step':
      case 'clock-drift':
        return machines.setClock(spec.machine, this.#clockOf(spec.machine));
      default:
    }
  }

  /** What overlaps adds up. */
  #clockOf(machine: string): { readonly byMicros: number; readonly ppm: number } {
    let [byMicros, ppm] = [0, 0];
    for (const { spec } of this.#active.values()) {
      if (spec.kind === 'clock-step' && spec.machine === machine) byMicros += spec.byMicros;
      if (spec.kind === 'clock-drift' && spec.machine === machine) ppm += spec.ppm;
    }
    return { byMicros, ppm };
  }

  #isUnder(kinds: readonly FaultKind[], machine: string): boolean {
    return [...this.#active.values()].some(({ spec }) => kinds.includes(spec.kind) && 'machine' in spec && spec.machine === machine);
  }
}

function targetOf(spec: FaultSpec): string {
  if ('machine' in spec) return spec.machine;
  switch (spec.kind) {
    case 'partition':
      return `${spec.a.join(' ')} | ${spec.b.join(' ')}`;
    case 'latency':
    case 'loss':
      return `${spec.a} | ${spec.b}`;
    default:
      return spec.kind;
  }
}

function detailOf(spec: FaultSpec): string {
  const time = spec.forMicros === null ? 'until healed' : `for ${spec.forMicros} µs`;
  if (spec.kind === 'latency') return `delay times ${spec.factor[0]}/${spec.factor[1]}, ${time}`;
  if (spec.kind === 'clock-step') return `civil time off by ${spec.byMicros} µs, ${time}`;
  if (spec.kind === 'clock-drift') return `clock off by ${spec.ppm} ppm, ${time}`;
  if (spec.kind === 'loss') return `${spec.loss[0]} of ${spec.loss[1]} pieces lost, ${time}`;
  return time;
}
