// Who may run next: deliveries wait in one short queue per binding and take turns (R9.4), under the concurrency of their
// instance and of the node. Data only: no clock, no promise. Bound: a binding holds at most what it had credit for.

export type BindingKey = string;

export type DispatchBounds = { readonly invocationsMax: number; readonly fetchEventsMax: number };

type Lane<T> = { readonly instance: string; readonly waiting: T[] };

export class Dispatch<T> {
  readonly #bounds: DispatchBounds;
  /** In turn order: a binding that was served goes to the back. */
  readonly #lanes = new Map<BindingKey, Lane<T>>();
  readonly #lanesOf = new Map<string, number>();
  readonly #concurrency = new Map<string, number>();
  readonly #runningOf = new Map<string, number>();
  #running = 0;

  constructor(bounds: DispatchBounds) {
    this.#bounds = bounds;
  }

  get running(): number {
    return this.#running;
  }

  setConcurrency(instance: string, concurrency: number): void {
    this.#concurrency.set(instance, concurrency);
  }

  open(key: BindingKey, instance: string): void {
    if (this.#lanes.has(key)) return;
    this.#lanes.set(key, { instance, waiting: [] });
    this.#lanesOf.set(instance, (this.#lanesOf.get(instance) ?? 0) + 1);
  }

  /** What waited and will not run; what runs is still counted until it is released. */
  close(key: BindingKey): readonly T[] {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return [];
    this.#lanes.delete(key);
    const lanes = (this.#lanesOf.get(lane.instance) ?? 1) - 1;
    if (lanes > 0) this.#lanesOf.set(lane.instance, lanes);
    else this.#lanesOf.delete(lane.instance);
    return lane.waiting;
  }

  /**
   * Events a binding may ask the broker for. What is free is shared among the bindings of the instance, and of the node;
   * each may ask for one as long as anything is free, so a binding that idles does not keep others from working.
   */
  credit(key: BindingKey): number {
    const lane = this.#lanes.get(key);
    if (lane === undefined || lane.waiting.length > 0) return 0;
    const ofInstance = (this.#concurrency.get(lane.instance) ?? 0) - (this.#runningOf.get(lane.instance) ?? 0);
    const ofNode = this.#bounds.invocationsMax - this.#running;
    if (ofInstance <= 0 || ofNode <= 0) return 0;
    const share = Math.min(shareOf(ofInstance, this.#lanesOf.get(lane.instance) ?? 1), shareOf(ofNode, this.#lanes.size));
    return Math.min(share, this.#bounds.fetchEventsMax);
  }

  /** False when the binding is closed. */
  offer(key: BindingKey, item: T): boolean {
    const lane = this.#lanes.get(key);
    lane?.waiting.push(item);
    return lane !== undefined;
  }

  /** The next that may run, now counted as running; null: nothing may. */
  next(): { readonly key: BindingKey; readonly instance: string; readonly item: T } | null {
    if (this.#running >= this.#bounds.invocationsMax) return null;
    for (const [key, lane] of this.#lanes) {
      const running = this.#runningOf.get(lane.instance) ?? 0;
      if (lane.waiting.length === 0 || running >= (this.#concurrency.get(lane.instance) ?? 0)) continue;
      const item = lane.waiting.shift();
      if (item === undefined) continue;
      this.#lanes.delete(key);
      this.#lanes.set(key, lane);
      this.#running += 1;
      this.#runningOf.set(lane.instance, running + 1);
      return { key, instance: lane.instance, item };
    }
    return null;
  }

  release(instance: string): void {
    this.#running -= 1;
    const running = (this.#runningOf.get(instance) ?? 1) - 1;
    if (running > 0) this.#runningOf.set(instance, running);
    else this.#runningOf.delete(instance);
  }

  forget(instance: string): void {
    this.#concurrency.delete(instance);
  }
}

function shareOf(free: number, sharers: number): number {
  return Math.max(1, Math.floor(free / Math.max(1, sharers)));
}
