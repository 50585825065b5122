// Heat and charge of machines that have a processor which gets hot, or a battery: looks at the work of each at an interval, slows it down
// and switches it off as their physics say. It knows machines, not what they run.
import type { BatterySpec, ThermalSpec } from '../../scenarios/scenario.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';
import { Battery } from './battery.ts';
import { Heat } from './heat.ts';

const LOOK_MICROS = 100_000;
const PERMILLE = 1_000;

export type PoweredMachine = {
  readonly machine: Machine;
  readonly cores: number;
  readonly thermal: ThermalSpec | null;
  readonly battery: BatterySpec | null;
  /** All of its work takes so many times as long from here on, on account of heat and battery. */
  readonly throttle: (factor: number, cause: string) => void;
  /** The battery is empty. */
  readonly off: () => void;
  /** It is full again. */
  readonly on: () => void;
};

type Powered = PoweredMachine & {
  readonly heat: Heat | null;
  readonly cell: Battery | null;
  busyMicros: number;
  factor: number;
  charging: boolean;
};

export class Power {
  readonly #kernel: Kernel;
  /** Bound: the nodes of a fleet. */
  readonly #powered = new Map<string, Powered>();
  #isOnMains = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  add(options: PoweredMachine): void {
    const { machine, thermal, battery } = options;
    if (thermal === null && battery === null) return;
    const powered: Powered = {
      ...options,
      heat: thermal === null ? null : new Heat(thermal),
      cell: battery === null ? null : new Battery(battery),
      busyMicros: machine.busyMicros(),
      factor: 1,
      charging: false,
    };
    this.#powered.set(machine.name, powered);
    this.#lookLater(powered);
  }

  /** While its battery is empty. */
  keepsOff(machine: string): boolean {
    return this.#powered.get(machine)?.cell?.isEmpty === true;
  }

  /** Every battery is full, and stays so: it hangs on the mains. */
  chargeAll(): void {
    this.#isOnMains = true;
    for (const powered of this.#powered.values()) this.#charge(powered);
  }

  #lookLater(powered: Powered): void {
    this.#kernel.after(LOOK_MICROS, null, 'heat and charge', () => {
      this.#look(powered);
      this.#lookLater(powered);
    });
  }

  #look(powered: Powered): void {
    const { machine, cores, heat, cell } = powered;
    const busyMicros = machine.busyMicros();
    const busyPermille = Math.min(PERMILLE, Math.round(((busyMicros - powered.busyMicros) * PERMILLE) / (cores * LOOK_MICROS)));
    powered.busyMicros = busyMicros;
    heat?.pass(LOOK_MICROS, busyPermille);
    if (machine.alive && !this.#isOnMains) cell?.pass(LOOK_MICROS, busyPermille);
    if (cell?.isEmpty === true) {
      this.#empty(powered);
      return;
    }
    const factor = (heat?.factor ?? 1) * (cell?.factor ?? 1);
    if (factor === powered.factor) return;
    powered.factor = factor;
    powered.throttle(factor, this.#causeOf(powered));
  }

  #causeOf({ heat, cell }: Powered): string {
    return [
      ...(heat === null ? [] : [`${heat.celsius.toFixed(1)} degrees`]),
      ...(cell === null ? [] : [`battery ${cell.permille / 10} %`]),
    ].join(', ');
  }

  #empty(powered: Powered): void {
    if (powered.charging) return;
    powered.charging = true;
    powered.off();
    const chargeMicros = powered.battery?.chargeMicros ?? null;
    if (chargeMicros !== null) this.#kernel.after(chargeMicros, null, 'charged', () => this.#charge(powered));
  }

  #charge(powered: Powered): void {
    powered.cell?.fill();
    if (!powered.charging) return;
    powered.charging = false;
    powered.on();
  }
}
