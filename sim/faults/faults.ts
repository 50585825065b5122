// What breaks in the simulated world, and how it heals. Each fault is recorded when it begins and when it ends, and ends on its
// own or by `healAll`. Faults may overlap: a machine starts again when the last crash of it has ended.
import type { FaultKind, FaultSpec } from '../../scenarios/scenario.ts';
import { assert, assertNever, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { SimNetwork } from '../network/network.ts';

export const SIM_FAULT_KINDS: readonly FaultKind[] = ['crash', 'pause', 'partition', 'latency', 'loss', 'disk-full', 'forge-artefact'];

/** Machines as faults move them; each does nothing when the machine is in that state already. */
export type MachineControl = {
  readonly knows: (machine: string) => boolean;
  readonly crash: (machine: string) => void;
  readonly start: (machine: string) => void;
  readonly pause: (machine: string) => void;
  readonly resume: (machine: string) => void;
  /** From here on its disk has no room, until `free`. */
  readonly fill: (machine: string) => void;
  readonly free: (machine: string) => void;
};

export type FaultOptions = {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly keys: KeyRing;
  readonly machines: MachineControl;
  readonly telemetry: Telemetry;
};

type Active = { readonly spec: FaultSpec; readonly end: ScheduledEvent | null };

export class Faults {
  readonly #options: FaultOptions;
  /** Bound: the faults of one scenario. */
  readonly #active = new Map<string, Active>();

  constructor(options: FaultOptions) {
    this.#options = options;
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
    this.#active.set(id, { spec, end });
    telemetry.record('fault.begun', { fault: id, kind: spec.kind, target: targetOf(spec), detail: detailOf(spec) });
    this.#begin(id, spec);
    return ok();
  }

  /** True while a fault keeps this machine off. */
  keepsOff(machine: string): boolean {
    return this.#isUnder('crash', machine);
  }

  healAll(): void {
    for (const [id, { end }] of [...this.#active]) {
      end?.cancel();
      this.#end(id);
    }
  }

  #begin(id: string, spec: FaultSpec): void {
    const { network, keys, machines } = this.#options;
    switch (spec.kind) {
      case 'crash':
        return machines.crash(spec.machine);
      case 'pause':
        return machines.pause(spec.machine);
      case 'partition':
      case 'latency':
      case 'loss':
        return network.begin(id, spec);
      case 'disk-full':
        return machines.fill(spec.machine);
      case 'forge-artefact':
        return keys.forge(true);
      default:
        return assertNever(spec, 'the begin of a fault');
    }
  }

  #end(id: string): void {
    const active = this.#active.get(id);
    if (active === undefined) return;
    const { spec } = active;
    const { kernel, network, keys, machines, telemetry } = this.#options;
    this.#active.delete(id);
    telemetry.record('fault.ended', { fault: id, kind: spec.kind, target: targetOf(spec) });
    switch (spec.kind) {
      case 'crash':
        // An event of its own: a machine does not boot in the event that crashed it.
        kernel.after(0, null, 'power returns', () => {
          if (!this.keepsOff(spec.machine)) machines.start(spec.machine);
        });
        return;
      case 'pause':
        if (!this.#isUnder('pause', spec.machine)) machines.resume(spec.machine);
        return;
      case 'disk-full':
        if (!this.#isUnder('disk-full', spec.machine)) machines.free(spec.machine);
        return;
      case 'partition':
      case 'latency':
      case 'loss':
        return network.end(id);
      case 'forge-artefact':
        return keys.forge(false);
      default:
        return assertNever(spec, 'the end of a fault');
    }
  }

  #isUnder(kind: 'crash' | 'pause' | 'disk-full', machine: string): boolean {
    return [...this.#active.values()].some(({ spec }) => spec.kind === kind && spec.machine === machine);
  }
}

function targetOf(spec: FaultSpec): string {
  switch (spec.kind) {
    case 'crash':
    case 'pause':
    case 'disk-full':
      return spec.machine;
    case 'partition':
      return `${spec.a.join(' ')} | ${spec.b.join(' ')}`;
    case 'latency':
    case 'loss':
      return `${spec.a} | ${spec.b}`;
    case 'forge-artefact':
      return 'controller';
    default:
      return assertNever(spec, 'the target of a fault');
  }
}

function detailOf(spec: FaultSpec): string {
  const time = spec.forMicros === null ? 'until healed' : `for ${spec.forMicros} µs`;
  if (spec.kind === 'latency') return `delay times ${spec.factor[0]}/${spec.factor[1]}, ${time}`;
  if (spec.kind === 'loss') return `${spec.loss[0]} of ${spec.loss[1]} packets lost, ${time}`;
  return time;
}
