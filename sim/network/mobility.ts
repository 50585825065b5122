// Vehicles on their way: looks where each is and which cell it takes, at the interval at which a modem measures its neighbours. What a
// change means for links is the network's business, which is told of each; what the world sees of it is told as well.
import type { CellSpec, VehicleSpec } from '../../scenarios/scenario.ts';
import type { ZonePath } from '../../system/domain/identifiers.ts';
import type { GeoPoint } from '../../system/domain/node.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import { placeAt, radioAt, receive, type Radio } from './radio.ts';

/** A modem's measurement period for its neighbours (3GPP TS 36.133, 200 ms). */
const MEASURE_MICROS = 200_000;
/** How often the place of a vehicle is told, in measurements. */
const TOLD_EVERY = 5;

/** How a vehicle is attached; `cell` null: out of reach. */
export type Attachment = {
  readonly cell: CellSpec | null;
  readonly radio: Radio | null;
  /** A handover is under way: what is sent waits. */
  readonly interrupted: boolean;
};

export type MobilityOptions = {
  readonly kernel: Kernel;
  readonly cells: readonly CellSpec[];
  readonly vehicles: readonly VehicleSpec[];
  /** The links of everything in this zone are others from now on. */
  readonly changed: (vehicle: ZonePath) => void;
  readonly attached: (vehicle: ZonePath, from: CellSpec | null, to: CellSpec | null) => void;
  readonly moved: (vehicle: ZonePath, place: GeoPoint) => void;
};

type Driving = {
  readonly spec: VehicleSpec;
  readonly endMicros: number;
  looks: number;
  attachment: Attachment;
  handover: ScheduledEvent | null;
};

export class Mobility {
  readonly #options: MobilityOptions;
  readonly #driving = new Map<ZonePath, Driving>();

  constructor(options: MobilityOptions) {
    this.#options = options;
    for (const spec of options.vehicles) {
      const attachment = { cell: null, radio: null, interrupted: false };
      this.#driving.set(spec.vehicle, { spec, endMicros: spec.path.at(-1)?.micros ?? 0, looks: 0, attachment, handover: null });
    }
  }

  /** From here on they drive; where they are at this moment is known when this returns. */
  start(): void {
    for (const driving of this.#driving.values()) this.#look(driving);
  }

  /** Null: this zone is no vehicle. */
  find(zone: ZonePath): Attachment | null {
    return this.#driving.get(zone)?.attachment ?? null;
  }

  placeOf(zone: ZonePath): GeoPoint | null {
    const driving = this.#driving.get(zone);
    return driving === undefined ? null : placeAt(driving.spec, this.#options.kernel.now());
  }

  #look(driving: Driving): void {
    const { kernel, cells, changed, attached, moved } = this.#options;
    const { spec } = driving;
    const { vehicle } = spec;
    const before = driving.attachment;
    const isFirst = driving.looks === 0;
    const place = placeAt(spec, kernel.now());
    const reception = receive(cells, place, before.cell, spec.hysteresis);
    const cell = reception?.cell ?? null;
    const isHandover = !isFirst && cell !== null && cell !== before.cell;
    // Another handover, or the loss of the cell, takes the place of one that is under way.
    if (cell !== before.cell) driving.handover?.cancel();
    if (isHandover && spec.interruptionMicros > 0) {
      driving.handover = kernel.after(spec.interruptionMicros, null, 'handover ends', () => {
        driving.attachment = { ...driving.attachment, interrupted: false };
        changed(vehicle);
      });
    }
    driving.attachment = {
      cell,
      radio: reception === null ? null : radioAt(reception),
      interrupted: (isHandover && spec.interruptionMicros > 0) || (before.interrupted && cell !== null),
    };
    if (isFirst || cell !== before.cell) attached(vehicle, before.cell, cell);
    if (driving.looks % TOLD_EVERY === 0) moved(vehicle, place);
    driving.looks += 1;
    changed(vehicle);
    if (kernel.now() < driving.endMicros) kernel.after(MEASURE_MICROS, null, 'cells measured', () => this.#look(driving));
  }
}
