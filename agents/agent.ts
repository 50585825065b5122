// The agent of one node: enrols, keeps the session and the lease, brings artefacts, serves instances (R1, R2, R5, R9).
// It composes its parts and hands messages between them; each part decides alone. It knows ports, not worlds.
// Refuses: a controller with another key than the one that first let it in, older leaders, modules that are not signed as they must be.
import { describeError, ok, rejected } from '../system/domain/outcome.ts';
import type { Outcome, WmError } from '../system/domain/outcome.ts';
import type { Endpoint, Incarnation } from '../system/domain/identifiers.ts';
import type { GeoPoint, NodeFacts } from '../system/domain/node.ts';
import type { AgentStatus } from '../system/domain/node-service.ts';
import type { InstanceReport } from '../system/domain/session.ts';
import type { Listener } from '../system/ports/network.ts';
import { MICROS_PER_MS } from '../system/ports/clock.ts';
import type { Timer } from '../system/ports/clock.ts';
import type { Ports } from '../system/ports/ports.ts';
import { decodeControllerMessage } from '../system/wire/codec/session.ts';
import { AGENT_BOUNDS } from './bounds.ts';
import type { AgentBounds } from './bounds.ts';
import { Cache } from './cache/cache.ts';
import { Delivery } from './delivery/delivery.ts';
import { Lease } from './lease/lease.ts';
import { Lifecycle, Remembered } from './lifecycle/lifecycle.ts';
import type { Memories, PinnedKey } from './lifecycle/lifecycle.ts';
import { Meter } from './metering/metering.ts';
import { PING_SERVICE, Probes } from './probes/probes.ts';
import { Session } from './session/session.ts';
import type { Desired, Hello, Welcome } from './session/session.ts';
import { Whereabouts } from './whereabouts/whereabouts.ts';

export type { AgentBounds } from './bounds.ts';

export type AgentConfig = {
  readonly facts: NodeFacts;
  readonly joinToken: string;
  readonly controller: Endpoint;
  readonly version: string;
  /** Where the node is now, for one that moves; null while that is not known. Absent: it stays where `facts` say. */
  readonly locate?: () => GeoPoint | null;
  /** Whatever is not named here is as in `AGENT_BOUNDS`. */
  readonly bounds?: Partial<AgentBounds>;
};

export interface Agent {
  /** Resolves when the node answers and what may go on without the controller goes on; enrolment follows by itself. */
  start(): Promise<Outcome<void>>;
  /** Drains within its bound, says goodbye, closes. A second call does nothing more. */
  stop(): Promise<void>;
  /** How it is at this moment. */
  status(): AgentStatus;
  /** Resolves with the cause when the agent has to end by itself (its store failed); never otherwise. Start a new one then. */
  readonly ended: Promise<string>;
}

export function createAgent(ports: Ports, config: AgentConfig): Agent {
  return new NodeAgent(ports, config);
}

const BOOT_ID_BYTES = 8;

class NodeAgent implements Agent {
  readonly ended: Promise<string>;
  readonly #ports: Ports;
  readonly #config: AgentConfig;
  readonly #bounds: AgentBounds;
  readonly #meter: Meter;
  readonly #lease: Lease;
  readonly #session: Session;
  readonly #cache: Cache;
  readonly #lifecycle: Lifecycle;
  readonly #probes: Probes;
  readonly #remembered: Remembered;
  readonly #whereabouts: Whereabouts;
  #bootId = '';
  #incarnation: Incarnation | null = null;
  /** As the controller asked for last; 0 before its first welcome. */
  #heartbeatIntervalMs = 0;
  #controllerKey: PinnedKey | null = null;
  #helloReports: readonly InstanceReport[] = [];
  #listener: Listener | null = null;
  #metricsTimer: Timer | null = null;
  #idleAt = 0;
  #startedMicros: number;
  #isStopped = false;
  #end: (cause: string) => void = () => {};

  constructor(ports: Ports, config: AgentConfig) {
    const { facts } = config;
    const { node } = facts;
    const bounds: AgentBounds = { ...AGENT_BOUNDS, ...config.bounds };
    const storageFailed = (error: WmError): void => this.#halt(error);
    const isLeaseHeld = (): boolean => this.#lease.isHeld();
    this.#ports = ports;
    this.#config = config;
    this.#startedMicros = ports.clock.monotonicMicros();
    this.#bounds = bounds;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#meter = new Meter(ports.clock, facts, () => this.#expectMetrics());
    this.#remembered = new Remembered(ports.storage.keyValue('agent'), storageFailed);
    this.#lease = new Lease(ports, node, (state) => this.#leaseChanged(state));
    this.#session = new Session(
      ports,
      { bounds, node, controller: config.controller, onConnected: () => this.#cache.wake() },
      {
        hello: () => this.#hello(),
        load: () => this.#meter.load(),
        latencies: () => this.#probes.reports(),
        welcomed: (welcome) => this.#welcomed(welcome),
        acceptsTerm: (term) => this.#lifecycle.acceptsTerm(term),
        renewLease: (sentMicros, leaseMs) => this.#lease.renew(sentMicros, leaseMs),
        desired: (desired, bytes) => this.#desired(desired, bytes),
      },
    );
    this.#cache = new Cache(
      ports,
      { bounds, facts },
      {
        fetch: (request) => this.#session.fetch(request),
        controllerKey: () => this.#controllerKey,
        changed: () => this.#lifecycle.versionsChanged(),
        refused: (grant, error) =>
          this.#session.refuse({ code: error.code, subject: `${grant.manifest.name}@${grant.version}`, message: error.message }),
        storageFailed,
      },
    );
    const delivery = new Delivery(
      ports,
      { bounds, node, meter: this.#meter },
      {
        isLeaseHeld,
        fenced: (instance, error) => this.#lifecycle.fenced(instance, error),
        logged: (line) => this.#session.log(line),
        refused: (instance, module, capability, operation, correlation) => {
          ports.telemetry.record(
            'capability.refused',
            { node, instance: instance.fence.instance, module, capability, operation },
            correlation,
          );
          const message = `${module} in ${instance.fence.instance} tried ${operation}, which needs ${capability} (correlation ${correlation}).`;
          this.#session.refuse({ code: 'WM_CAPABILITY_REFUSED', subject: instance.fence.instance, message });
        },
      },
    );
    this.#lifecycle = new Lifecycle(
      { bounds, node, clock: ports.clock, telemetry: ports.telemetry, cache: this.#cache, delivery },
      {
        isLeaseHeld,
        report: (report) => this.#session.report(report),
        remember: (seen, desired) => this.#remembered.remember(seen, desired),
      },
    );
    this.#whereabouts = new Whereabouts(ports.clock, {
      bounds,
      start: facts.location,
      locate: config.locate,
      moved: (location) => this.#session.moved(location),
    });
    this.#probes = new Probes(
      ports,
      { bounds, self: node, heartbeatIntervalMs: () => this.#heartbeatIntervalMs },
      () => this.#lifecycle.landmarks,
    );
  }

  async start(): Promise<Outcome<void>> {
    const { facts, version } = this.#config;
    this.#startedMicros = this.#ports.clock.monotonicMicros();
    const memories = await this.#remembered.open();
    if (!memories.ok) return memories;
    const opened = await this.#cache.open();
    if (!opened.ok) return opened;
    const listening = await this.#ports.network.listen(facts.endpoint, PING_SERVICE);
    if (!listening.ok) return listening;
    this.#listener = listening.value;
    // The count tells boots apart even where a cloned machine repeats its randomness.
    const drawn = this.#ports.random.stream('agent/boot').bytes(BOOT_ID_BYTES);
    this.#bootId = `${memories.value.boot}-${Array.from(drawn, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    this.#ports.telemetry.record('agent.started', { node: facts.node, bootId: this.#bootId, version });
    this.#resume(memories.value);
    this.#session.start();
    this.#probes.start();
    this.#whereabouts.start();
    this.#armMetrics();
    return ok();
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#metricsTimer?.cancel();
    this.#probes.stop();
    this.#whereabouts.stop();
    await this.#lifecycle.drain();
    this.#cache.close();
    await this.#session.stop(this.#bounds.flushMs);
    this.#lease.close();
    this.#listener?.close();
  }

  status(): AgentStatus {
    const { facts, version } = this.#config;
    const { open, max } = this.#ports.wasm.guests();
    return {
      node: facts.node,
      agentVersion: version,
      isConnected: this.#session.isConnected(),
      isLeaseHeld: this.#lease.isHeld(),
      instances: this.#lifecycle.served(),
      guestsOpen: open,
      guestsMax: max,
      uptimeMs: Math.floor((this.#ports.clock.monotonicMicros() - this.#startedMicros) / MICROS_PER_MS),
    };
  }

  /** The store is in doubt: nothing that this process says of itself can be believed after a restart, so it ends here. */
  #halt(error: WmError): void {
    this.#ports.telemetry.log('error', `The agent of ${this.#config.facts.node} ends: ${describeError(error)}`);
    this.#lifecycle.halt('the store failed');
    void this.stop().then(() => this.#end(describeError(error)));
  }

  #resume(memories: Memories): void {
    this.#controllerKey = memories.controllerKey;
    let desired: Desired | null = null;
    if (memories.desired !== null) {
      const decoded = decodeControllerMessage(memories.desired);
      if (decoded.ok && decoded.value.kind === 'desired') desired = decoded.value;
      else this.#ports.telemetry.log('warn', 'The last desired state cannot be read back; the agent waits for the controller.');
    }
    this.#lifecycle.resume(memories.seen, desired);
  }

  #hello(): Hello {
    const { facts, joinToken } = this.#config;
    this.#helloReports = this.#lifecycle.reports();
    return {
      kind: 'hello',
      facts: { ...facts, location: this.#whereabouts.location },
      joinToken,
      bootId: this.#bootId,
      incarnation: this.#incarnation,
      instances: this.#helloReports,
      artefacts: this.#cache.artefacts(),
    };
  }

  async #welcomed(welcome: Welcome): Promise<Outcome<void>> {
    const { key, publicKey } = welcome.controllerKey;
    if (!this.#lifecycle.acceptsTerm(welcome.term)) {
      return rejected('WM_STALE_TERM', {
        message: `The controller's term ${welcome.term} is older than one this node has seen.`,
        next: 'Nothing: the newer leader decides.',
      });
    }
    if (this.#ports.keys.keyIdOf(publicKey) !== key || (this.#controllerKey !== null && this.#controllerKey.key !== key)) {
      return rejected('WM_SIGNER_UNTRUSTED', {
        message: `The controller shows the key ${key}; this node was enrolled by ${this.#controllerKey?.key ?? 'none, and the name does not fit the key'}.`,
        next: "If the controller's key was really replaced, remove the agent's store and enrol the node again.",
      });
    }
    if (this.#controllerKey === null) {
      this.#controllerKey = { key, publicKey };
      const pinned = await this.#remembered.pin(this.#controllerKey);
      if (!pinned.ok) {
        this.#halt(pinned.error);
        return pinned;
      }
    }
    this.#lifecycle.reported(this.#helloReports);
    this.#enter(welcome);
    return ok();
  }

  #enter(welcome: Welcome): void {
    this.#lifecycle.believed(welcome.term);
    this.#heartbeatIntervalMs = welcome.heartbeatIntervalMs;
    const isReturn = this.#incarnation !== null && this.#incarnation !== welcome.incarnation;
    this.#incarnation = welcome.incarnation;
    if (isReturn) this.#lifecycle.unconfirm();
  }

  #desired(desired: Desired, bytes: Uint8Array): void {
    // A lapse that nobody noticed yet ends the session, and with it whatever was on its way here before.
    if (this.#lease.observe()) return;
    this.#lifecycle.accept(desired, bytes);
    this.#probes.wake();
  }

  #leaseChanged(state: 'held' | 'lapsed'): void {
    if (state === 'held') return this.#lifecycle.leaseHeld();
    this.#lifecycle.leaseLapsed();
    this.#session.redial('the lease lapsed');
  }

  #tellMetrics(): void {
    const { node } = this.#config.facts;
    this.#metricsTimer = null;
    this.#meter.turn();
    this.#ports.telemetry.record('agent.metrics', this.#meter.fields());
    if (this.#meter.active === 0 && this.#meter.invocations !== this.#idleAt) {
      this.#idleAt = this.#meter.invocations;
      this.#ports.telemetry.record('invocation.idle', { node, guests: this.#ports.wasm.guests().open });
    }
    if (!this.#meter.rests) this.#armMetrics();
  }

  /** Work begins on a node that rested: the period of measurement begins with it. */
  #expectMetrics(): void {
    if (this.#metricsTimer !== null || this.#isStopped) return;
    this.#meter.turn();
    this.#armMetrics();
  }

  #armMetrics(): void {
    this.#metricsTimer = this.#ports.clock.after(this.#bounds.metricsIntervalMs * MICROS_PER_MS, () => this.#tellMetrics());
  }
}
