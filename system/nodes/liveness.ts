// When each node was last heard, what it said of its load, and which distances it measures. Lives in memory only.
import type { NodeId } from '../domain/identifiers.ts';
import { MEASURED_FOR_MS, sameLoad, type LatencyReport, type NodeLoad } from '../domain/node.ts';
import { assert } from '../domain/outcome.ts';
import { MICROS_PER_MS, type Micros } from '../ports/clock.ts';

type LivenessTimes = {
  readonly heartbeatIntervalMs: number;
  readonly suspectAfterMs: number;
  readonly unavailableAfterMs: number;
};

/** Bound: latency reports that one heartbeat may carry. */
export const LATENCIES_MAX = 256;

const NONE: readonly NodeId[] = [];

type Heard = {
  readonly node: NodeId;
  lastMicros: Micros;
  load: NodeLoad | null;
  /** When each distance was last reported. Bound: LATENCIES_MAX of each heartbeat; they go when they are MEASURED_FOR_MS old. */
  readonly measured: Map<NodeId, Micros>;
  /** None of them is too old before. */
  oldMicros: Micros;
};

export class Liveness {
  readonly #times: LivenessTimes;
  readonly #heard = new Map<NodeId, Heard>();
  #checkedMicros: Micros;

  constructor(times: LivenessTimes, nowMicros: Micros) {
    assert(
      times.heartbeatIntervalMs < times.suspectAfterMs && times.suspectAfterMs < times.unavailableAfterMs,
      'a node is suspect after more than a heartbeat, and unavailable after more than that',
    );
    this.#times = times;
    this.#checkedMicros = nowMicros;
  }

  /** How often to look for silence: a fifth of a heartbeat, so that a mark is late by no more. */
  get checkIntervalMicros(): Micros {
    return Math.max(1, Math.floor((this.#times.heartbeatIntervalMs * MICROS_PER_MS) / 5));
  }

  watch(node: NodeId, nowMicros: Micros): void {
    this.#heardOf(node).lastMicros = nowMicros;
  }

  /** Returns the landmarks whose distance it has not reported for so long that it is not believed any more. */
  hear(node: NodeId, nowMicros: Micros, load: NodeLoad, latencies: readonly LatencyReport[]): readonly NodeId[] {
    const heard = this.#heardOf(node);
    heard.lastMicros = nowMicros;
    // Most heartbeats repeat what the last one said: the object that is known already is kept, and theirs can go.
    if (heard.load === null || !sameLoad(heard.load, load)) heard.load = load;
    for (let i = 0; i < latencies.length && i < LATENCIES_MAX; i++) heard.measured.set((latencies[i] as LatencyReport).landmark, nowMicros);
    return nowMicros < heard.oldMicros ? NONE : takeOld(heard, nowMicros);
  }

  /** It was removed: nobody waits for it. */
  forget(node: NodeId): void {
    this.#heard.delete(node);
  }

  loadOf(node: NodeId): NodeLoad | null {
    return this.#heard.get(node)?.load ?? null;
  }

  /**
   * Nodes that have been silent for `suspectAfterMs` or longer, with their silence. A check that comes late by more than a
   * heartbeat proves that this process stood still, not that they did: every node is given a full grace period.
   */
  findSilent(nowMicros: Micros): readonly { readonly node: NodeId; readonly silentMs: number }[] {
    const late = nowMicros - this.#checkedMicros > this.#times.heartbeatIntervalMs * MICROS_PER_MS;
    this.#checkedMicros = nowMicros;
    if (late) {
      for (const heard of this.#heard.values()) heard.lastMicros = nowMicros;
      return [];
    }
    const silent: { readonly node: NodeId; readonly silentMs: number }[] = [];
    for (const { node, lastMicros } of this.#heard.values()) {
      const silentMs = Math.floor((nowMicros - lastMicros) / MICROS_PER_MS);
      if (silentMs >= this.#times.suspectAfterMs) silent.push({ node, silentMs });
    }
    return silent;
  }

  #heardOf(node: NodeId): Heard {
    let heard = this.#heard.get(node);
    if (heard === undefined) this.#heard.set(node, (heard = { node, lastMicros: 0, load: null, measured: new Map(), oldMicros: 0 }));
    return heard;
  }
}

/** What is too old by now, which is forgotten; the next look is worth while when the oldest of the others is. */
function takeOld(heard: Heard, nowMicros: Micros): readonly NodeId[] {
  const forMicros = MEASURED_FOR_MS * MICROS_PER_MS;
  const old: NodeId[] = [];
  let oldestMicros = nowMicros;
  for (const [landmark, micros] of heard.measured) {
    if (nowMicros - micros >= forMicros) old.push(landmark);
    else if (micros < oldestMicros) oldestMicros = micros;
  }
  for (const landmark of old) heard.measured.delete(landmark);
  heard.oldMicros = oldestMicros + forMicros;
  return old;
}
