// A node's own endpoint, which outlives its agent: operators and the node itself ask it for status and metrics, and stop and start
// the agent. The agent is given a network on which its endpoint is a part of this one. Refuses other nodes everything but a ping.
import { METRICS_METHOD, START_METHOD, STATUS_METHOD, STOP_METHOD } from '../../system/domain/node-service.ts';
import type { AgentStatus, NodePhase } from '../../system/domain/node-service.ts';
import { roleOf } from '../../system/domain/enrolment.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Listener, Network, PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import { encodeNodeMetrics, encodeNodeStatus } from '../../system/wire/codec/node.ts';

/** Bound: starts and stops that wait for one another. */
export const TURNS_WAITING_MAX = 16;
const OWN_METHODS: readonly string[] = [STATUS_METHOD, METRICS_METHOD, STOP_METHOD, START_METHOD];
const DONE = new Uint8Array(0);

export type NodeServiceOptions = {
  readonly network: Network & { readonly setServing?: (service: string, serving: boolean) => void };
  /** `agent/<node>`. */
  readonly endpoint: Endpoint;
  /** The node's own name, `node/<id>`: whoever shows its certificate is the node. */
  readonly name: string;
  /** Of the agent that there is; null when there is none. */
  readonly status: () => AgentStatus | null;
  /** In the text format of Prometheus. */
  readonly metrics: () => string | Promise<string>;
  /** Makes an agent and starts it. Called only when there is none. */
  readonly start: () => Promise<Outcome<void>>;
  /** The agent gives up its work in order and is gone. */
  readonly stop: () => Promise<void>;
};

export class NodeService {
  readonly #options: NodeServiceOptions;
  #phase: NodePhase = 'stopped';
  #listener: Listener | null = null;
  /** What the agent itself serves at the endpoint, while there is one. */
  #inner: ServiceHandler | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  private constructor(options: NodeServiceOptions) {
    this.#options = options;
    this.#become('stopped');
  }

  /** Listens; the agent is started by `start`. */
  static async open(options: NodeServiceOptions): Promise<Outcome<NodeService>> {
    const service = new NodeService(options);
    const listening = await options.network.listen(options.endpoint, {
      call: (method, peer, request) => service.#answer(method, peer, request),
      stream: async (method, stream) => (service.#inner === null ? stream.close() : service.#inner.stream(method, stream)),
    });
    if (!listening.ok) return listening;
    service.#listener = listening.value;
    return ok(service);
  }

  get phase(): NodePhase {
    return this.#phase;
  }

  /** For the agent: the network, on which its endpoint is free while no agent has it. */
  get network(): Network {
    const { network, endpoint } = this.#options;
    return {
      connect: (to, options) => network.connect(to, options),
      listen: async (at, handler) => (at === endpoint ? this.#take(handler) : network.listen(at, handler)),
    };
  }

  /** Resolves when the agent runs, or cannot. */
  start(): Promise<Outcome<void>> {
    return this.#turn(() => this.#start());
  }

  /** Resolves when the agent is gone. */
  stop(): Promise<Outcome<void>> {
    return this.#turn(() => this.#stop());
  }

  /** The endpoint goes too; the agent is stopped before. */
  close(): void {
    this.#listener?.close();
    this.#listener = null;
  }

  #become(phase: NodePhase): void {
    this.#phase = phase;
    this.#options.network.setServing?.('', phase === 'running');
  }

  /** One after the other: a stop that is asked for while the agent starts waits until it has. */
  #turn(act: () => Promise<Outcome<void>>): Promise<Outcome<void>> {
    if (this.#waiting >= TURNS_WAITING_MAX) {
      const message = `${TURNS_WAITING_MAX} starts and stops of ${this.#options.name} wait for one another.`;
      return Promise.resolve(failed('WM_CANCELLED', { message, next: 'Wait until they are done, then ask for its status.' }));
    }
    this.#waiting += 1;
    const turn = this.#last.then(act);
    this.#last = turn.finally(() => (this.#waiting -= 1));
    return turn;
  }

  async #start(): Promise<Outcome<void>> {
    if (this.#phase === 'running') return ok();
    this.#become('starting');
    const started = await this.#options.start();
    this.#become(started.ok ? 'running' : 'stopped');
    return started;
  }

  async #stop(): Promise<Outcome<void>> {
    if (this.#phase === 'stopped') return ok();
    this.#become('stopping');
    await this.#options.stop();
    this.#become('stopped');
    return ok();
  }

  #take(handler: ServiceHandler): Outcome<Listener> {
    if (this.#inner !== null) {
      return rejected('WM_ARGUMENT', {
        message: `Endpoint ${this.#options.endpoint} is taken.`,
        next: 'Stop the agent that has it first.',
      });
    }
    this.#inner = handler;
    return ok<Listener>({
      close: () => {
        if (this.#inner === handler) this.#inner = null;
      },
    });
  }

  async #answer(method: string, peer: PeerIdentity, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    const { name, status, metrics } = this.#options;
    if (!OWN_METHODS.includes(method)) {
      if (this.#inner !== null) return this.#inner.call(method, peer, request);
      return failed('WM_UNREACHABLE', { message: `The agent of ${name} is stopped.`, next: 'Start it (Node/Start), or leave it alone.' });
    }
    if (peer.name !== name && roleOf(peer.name) !== 'operator') {
      return rejected('WM_NODE_REFUSED', {
        message: `${peer.name} is neither an operator nor ${name}, and may not call ${method}.`,
        next: 'Call it with the identity of an operator, or of the node itself.',
        detail: { peer: peer.name },
      });
    }
    switch (method) {
      case STATUS_METHOD:
        return ok(encodeNodeStatus({ phase: this.#phase, agent: status() }));
      case METRICS_METHOD:
        return ok(encodeNodeMetrics(await metrics()));
      default: {
        const done = await (method === STOP_METHOD ? this.stop() : this.start());
        return done.ok ? ok(DONE) : done;
      }
    }
  }
}
