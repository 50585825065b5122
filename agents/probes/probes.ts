// Measures the way to the landmarks that the controller names, by calls that do nothing (R4.1), and answers those of others.
// Bounds: landmarks of one round, one round at a time, samples of a landmark, one connection to each landmark of the list.
import type { NodeId } from '../../system/domain/identifiers.ts';
import type { LatencyReport } from '../../system/domain/node.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Landmark } from '../../system/domain/session.ts';
import { PING_METHOD } from '../../system/domain/node-service.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Connection, ServiceHandler } from '../../system/ports/network.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { AgentBounds } from '../bounds.ts';
import { Wait } from '../waiting/waiting.ts';
import { leastRtt, withSample } from './samples.ts';
import type { Samples } from './samples.ts';

const NOTHING = new Uint8Array(0);
/** A round takes so many heartbeats or longer: every node of a fleet asks the same few landmarks, and a large fleet beats slowly. */
export const PROBE_HEARTBEATS = 4;

/** What a node answers on its own endpoint. */
export const PING_SERVICE: ServiceHandler = Object.freeze({
  call: (method: string) =>
    Promise.resolve(
      method === PING_METHOD
        ? ok(NOTHING)
        : rejected('WM_MESSAGE_INVALID', { message: `An agent does not serve ${method}.`, next: `It answers ${PING_METHOD} only.` }),
    ),
  stream: (_method: string, stream: Parameters<ServiceHandler['stream']>[1]) => {
    stream.close();
    return Promise.resolve();
  },
});

type Probe = {
  readonly landmark: Landmark;
  samples: Samples;
  /** Of the samples, for heartbeats to say. */
  report: LatencyReport | null;
  connection: Connection | null;
};

export class Probes {
  readonly #ports: Pick<Ports, 'clock' | 'network'>;
  readonly #bounds: AgentBounds;
  readonly #self: NodeId;
  readonly #landmarks: () => readonly Landmark[];
  readonly #intervalMs: () => number;
  readonly #probes = new Map<NodeId, Probe>();
  readonly #wait: Wait;
  #isStopped = false;
  #nextAt = 0;
  /** The landmarks of the last round, as they were given, and those of them that are measured: all but itself. */
  #given: readonly Landmark[] = [];
  #wanted: readonly Landmark[] = [];
  /** What heartbeats say, until something else was measured. */
  #reports: readonly LatencyReport[] | null = null;

  constructor(
    ports: Pick<Ports, 'clock' | 'network'>,
    options: {
      readonly bounds: AgentBounds;
      readonly self: NodeId;
      /** Between two heartbeats, which carry what was measured. */
      readonly heartbeatIntervalMs: () => number;
    },
    landmarks: () => readonly Landmark[],
  ) {
    this.#ports = ports;
    this.#bounds = options.bounds;
    this.#self = options.self;
    this.#intervalMs = () => Math.max(options.bounds.probeIntervalMs, PROBE_HEARTBEATS * options.heartbeatIntervalMs());
    this.#landmarks = landmarks;
    this.#wait = new Wait(ports.clock);
  }

  start(): void {
    void this.#run();
  }

  /** The landmarks changed: they are measured now, and what is known of them is said again. */
  wake(): void {
    this.#reports = null;
    if (this.#landmarks().some(({ node }) => node !== this.#self && !this.#probes.has(node))) this.#wait.wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wait.wake();
    for (const probe of this.#probes.values()) probe.connection?.close();
    this.#probes.clear();
    this.#reports = null;
  }

  reports(): readonly LatencyReport[] {
    return (this.#reports ??= [...this.#probes.values()].flatMap(({ report }) => (report === null ? [] : [report])));
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      for (const measured of this.#measureRound()) await measured;
      if (!this.#isStopped) await this.#wait.for(this.#intervalMs() * MICROS_PER_MS);
    }
  }

  /** All at once. Takes turns when there are more landmarks than one round may probe. */
  #measureRound(): readonly Promise<void>[] {
    const given = this.#landmarks();
    if (given !== this.#given) this.#choose(given);
    const wanted = this.#wanted;
    const round: Promise<void>[] = [];
    for (let i = 0; i < wanted.length && i < this.#bounds.probesPerRoundMax; i++) {
      const landmark = wanted[(this.#nextAt + i) % wanted.length];
      if (landmark !== undefined) round.push(this.#measure(this.#probeOf(landmark)));
    }
    this.#nextAt = wanted.length === 0 ? 0 : (this.#nextAt + round.length) % wanted.length;
    return round;
  }

  #choose(given: readonly Landmark[]): void {
    this.#given = given;
    this.#wanted = given.filter(({ node }) => node !== this.#self);
    const endpoints = new Map(this.#wanted.map(({ node, endpoint }) => [node, endpoint]));
    for (const [node, probe] of this.#probes) {
      if (endpoints.get(node) === probe.landmark.endpoint) continue;
      probe.connection?.close();
      this.#probes.delete(node);
      this.#reports = null;
    }
  }

  #probeOf(landmark: Landmark): Probe {
    let probe = this.#probes.get(landmark.node);
    if (probe === undefined) this.#probes.set(landmark.node, (probe = { landmark, samples: [], report: null, connection: null }));
    return probe;
  }

  #measure(probe: Probe): Promise<void> {
    const deadlineMicros = this.#bounds.probeDeadlineMs * MICROS_PER_MS;
    return probe.connection === null ? this.#dial(probe, deadlineMicros) : this.#ping(probe, probe.connection, deadlineMicros);
  }

  async #dial(probe: Probe, deadlineMicros: number): Promise<void> {
    const connected = await this.#ports.network.connect(probe.landmark.endpoint, { deadlineMicros });
    if (!connected.ok) return this.#note(probe, null);
    if (!this.#isCurrent(probe)) return connected.value.close();
    probe.connection = connected.value;
    await this.#ping(probe, connected.value, deadlineMicros);
  }

  async #ping(probe: Probe, connection: Connection, deadlineMicros: number): Promise<void> {
    const sentMicros = this.#ports.clock.monotonicMicros();
    const answered = await connection.call(PING_METHOD, NOTHING, { deadlineMicros });
    if (!answered.ok) {
      connection.close();
      if (probe.connection === connection) probe.connection = null;
    }
    this.#note(probe, answered.ok ? this.#ports.clock.monotonicMicros() - sentMicros : null);
  }

  #note(probe: Probe, rttMicros: number | null): void {
    probe.samples = withSample(probe.samples, rttMicros, this.#bounds.probeSamplesMax);
    const least = leastRtt(probe.samples);
    this.#reports = null;
    probe.report = least === null ? null : { landmark: probe.landmark.node, rttMicros: least };
  }

  #isCurrent(probe: Probe): boolean {
    return !this.#isStopped && this.#probes.get(probe.landmark.node) === probe;
  }
}
