// What time it is on a machine. Its oscillator may run too fast or too slow, which shows in everything it measures; its civil
// clock may besides be set wrong, or stand still, which nothing shows that measures durations. A machine keeps its time over a
// boot: the virtual monotonic clock counts from the start of the run, as if the machine had been switched on then.

const PPM = 1_000_000;

/** `now`: whole microseconds since the start of the run. */
export type World = { now(): number };

export class MachineTime {
  readonly #world: World;
  #ppm = 0;
  #drifts = 0;
  /** World time since which the oscillator has had its present rate, and what it had gained until then. */
  #sinceMicros = 0;
  #gainedMicros = 0;
  /** How much of what was gained is not in the civil clock: it was set right. */
  #correctedMicros = 0;
  #stepMicros = 0;
  #freezes = 0;
  #frozenMicros: number | null = null;
  /** Told each time that a fault of the clock shows in what was read, or in a timer. */
  onFelt: ((fault: 'step' | 'drift' | 'freeze') => void) | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whole microseconds since the start of the run by this machine's oscillator; never less than before. */
  monotonicMicros(): number {
    if (this.#ppm !== 0) this.onFelt?.('drift');
    return this.#localAt(this.#world.now());
  }

  /** Microseconds since the start of the run by its civil clock, which may jump either way. */
  civilMicros(): number {
    if (this.#frozenMicros !== null) this.onFelt?.('freeze');
    else if (this.#stepMicros !== 0) this.onFelt?.('step');
    return this.#frozenMicros ?? this.monotonicMicros() - this.#correctedMicros + this.#stepMicros;
  }

  /** The least time of the world in which `localMicros` pass on this machine at its present rate. */
  worldDelay(localMicros: number): number {
    const local = localMicros > 0 ? Math.ceil(localMicros) : 0;
    if (this.#ppm === 0) return local;
    this.onFelt?.('drift');
    const now = this.#world.now();
    const due = this.#localAt(now) + local;
    let world = Math.max(0, Math.floor((local / (PPM + this.#ppm)) * PPM) - 1);
    while (this.#localAt(now + world) < due) world++;
    return world;
  }

  /** Adds to the rate. Drifts overlap; when the last has ended (`lasting` false, the same number) the civil clock is set right. */
  drift(ppm: number, lasting: boolean): void {
    const now = this.#world.now();
    this.#gainedMicros = this.#localAt(now) - now;
    this.#sinceMicros = now;
    this.#ppm += lasting ? ppm : -ppm;
    this.#drifts += lasting ? 1 : -1;
    if (this.#drifts === 0) this.#correctedMicros = this.#gainedMicros;
  }

  /** For good: a rate that no end of a drift puts right, and a civil clock that was never set. */
  isWrong(stepMicros: number, ppm: number): void {
    this.#gainedMicros = this.#localAt(this.#world.now()) - this.#world.now();
    this.#sinceMicros = this.#world.now();
    this.#ppm += ppm;
    this.#stepMicros += stepMicros;
  }

  /** Sets the civil clock forward (or back), and back again with the negative of it. */
  step(micros: number): void {
    this.#stepMicros += micros;
  }

  /** Stops the civil clock; when the last freeze has ended it is right again. */
  freeze(lasting: boolean): void {
    if (lasting && this.#freezes === 0) this.#frozenMicros = this.monotonicMicros() - this.#correctedMicros + this.#stepMicros;
    this.#freezes += lasting ? 1 : -1;
    if (this.#freezes === 0) this.#frozenMicros = null;
  }

  #localAt(worldMicros: number): number {
    return worldMicros + this.#gainedMicros + Math.floor(((worldMicros - this.#sinceMicros) * this.#ppm) / PPM);
  }
}
