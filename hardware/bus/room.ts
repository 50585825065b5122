// Room in the stream of events. JetStream refuses what goes beyond its bound; a quarter of it is kept for what instances publish
// and for dead letters, so that full input never blocks output. The stream is only asked when what was published since the last
// answer could have filled the rest: until then nothing is asked at all.
import { ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import type { BusEvent } from '../../system/domain/event.ts';

export type Depth = { readonly events: number; readonly bytes: number; readonly eventsMax: number; readonly bytesMax: number };

export class Room {
  readonly #look: () => Promise<Outcome<Depth>>;
  #told: Depth | null = null;
  #publishedSince = 0;
  #bytesSince = 0;
  #looking: Promise<Outcome<Depth>> | null = null;

  constructor(look: () => Promise<Outcome<Depth>>) {
    this.#look = look;
  }

  /** What was last looked up. */
  told(): Depth | null {
    return this.#told;
  }

  /** For publishers from outside, before they publish: ok takes a place. */
  async take(event: BusEvent, bytes: number): Promise<Outcome<void>> {
    if (this.#take(bytes)) return ok();
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    const looked = await this.#looking;
    if (!looked.ok) return looked;
    if (this.#told !== looked.value) {
      this.#told = looked.value;
      this.#publishedSince = 0;
      this.#bytesSince = 0;
    }
    return this.#take(bytes) ? ok() : full(event, looked.value);
  }

  #take(bytes: number): boolean {
    if (this.#told === null) return false;
    const { events, bytes: held, eventsMax, bytesMax } = this.#told;
    if (events + this.#publishedSince >= shareOf(eventsMax) || held + this.#bytesSince + bytes > shareOf(bytesMax)) return false;
    this.#publishedSince += 1;
    this.#bytesSince += bytes;
    return true;
  }
}

function shareOf(bound: number): number {
  return bound - Math.floor(bound / 4);
}

export function full(event: BusEvent, depth: Depth | null): Err {
  return rejected('WM_BUS_FULL', {
    message:
      depth === null
        ? `The stream of events is full. Event ${event.id} was not stored.`
        : `The stream holds ${depth.events} unprocessed events of ${depth.bytes} bytes; the bounds for publishers from outside are ${shareOf(depth.eventsMax)} and ${shareOf(depth.bytesMax)}. Event ${event.id} was not stored.`,
    next: 'Publish again later; consumers must catch up first.',
    ...(depth === null ? {} : { detail: { events: depth.events, eventsMax: shareOf(depth.eventsMax), bytes: depth.bytes } }),
  });
}
