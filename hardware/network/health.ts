// What a process says of its services to those who probe them (grpc.health.v1). A service that is served is SERVING unless somebody
// says otherwise; the empty name stands for the whole process.
export type HealthWatcher = (serving: boolean | null) => void;

/** Bound: those who watch; more are refused. */
export const HEALTH_WATCHERS_MAX = 1_024;

export class Health {
  readonly #serving = new Map<string, boolean>([['', true]]);
  readonly #watchers = new Map<HealthWatcher, string>();

  /** Null: there is no such service. */
  of(service: string): boolean | null {
    return this.#serving.get(service) ?? null;
  }

  all(): readonly (readonly [service: string, serving: boolean])[] {
    return [...this.#serving];
  }

  /** A listener serves these; what was said of them before stands. */
  add(services: readonly string[]): void {
    for (const service of services) if (!this.#serving.has(service)) this.set(service, true);
  }

  set(service: string, serving: boolean): void {
    if (this.#serving.get(service) === serving) return;
    this.#serving.set(service, serving);
    for (const [watcher, watched] of this.#watchers) if (watched === service) watcher(serving);
  }

  /** False when too many watch already. Called at every change from now on. */
  watch(service: string, watcher: HealthWatcher): boolean {
    if (this.#watchers.size >= HEALTH_WATCHERS_MAX) return false;
    this.#watchers.set(watcher, service);
    return true;
  }

  forget(watcher: HealthWatcher): void {
    this.#watchers.delete(watcher);
  }
}
