// Where the node is (R1.1, R1.5). A node that moves is asked for its place at an interval, and tells of it when it moved far enough;
// one that stays is never asked. Who knows the place stands outside: a receiver of satellites, a file, a simulated road.
// Bound: one look in `locateIntervalMs`, and what is told is the newest place, however many were looked at.
import type { GeoPoint } from '../../system/domain/node.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { AgentBounds } from '../bounds.ts';

export type WhereaboutsOptions = {
  readonly bounds: Pick<AgentBounds, 'locateIntervalMs' | 'locateDegreesMin'>;
  readonly start: GeoPoint;
  /** Null while the place is not known; absent for a node that does not move. */
  readonly locate: (() => GeoPoint | null) | undefined;
  readonly moved: (location: GeoPoint) => void;
};

export class Whereabouts {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #options: WhereaboutsOptions;
  #told: GeoPoint;
  #timer: Timer | null = null;

  constructor(clock: Pick<Clock, 'after'>, options: WhereaboutsOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#told = options.locate?.() ?? options.start;
  }

  /** As it was told last: what a hello says. */
  get location(): GeoPoint {
    return this.#told;
  }

  start(): void {
    const { locate, bounds } = this.#options;
    if (locate === undefined) return;
    this.#timer = this.#clock.after(bounds.locateIntervalMs * MICROS_PER_MS, () => {
      const location = locate();
      if (location !== null && this.#isFar(location)) {
        this.#told = location;
        this.#options.moved(location);
      }
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #isFar({ latitude, longitude }: GeoPoint): boolean {
    const { locateDegreesMin } = this.#options.bounds;
    return Math.abs(latitude - this.#told.latitude) >= locateDegreesMin || Math.abs(longitude - this.#told.longitude) >= locateDegreesMin;
  }
}
