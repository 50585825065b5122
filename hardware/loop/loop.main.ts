// The process of the simulated nodes of a run with hardware in the loop: a kernel whose clock is held to the wall's, computers with
// agents on it, and one real network for each of them, with a certificate of its own. It does what its parent says over the pipe
// between them, and ends when that closes. A composition root: here simulated agents meet the real controller.
import { closeSync, openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { createNodeHost } from '../../sim/campaign/host.main.ts';
import { createKernel, Pace } from '../../sim/kernel/kernel.ts';
import { LoopedNodes } from '../../sim/testbed/loop.ts';
import type { NodeSpec } from '../../scenarios/scenario.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { Bug, describeError, failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { Connection } from '../../system/ports/network.ts';
import { acceptsName, CONTROLLER } from '../compose.main.ts';
import { nodeCrypto } from '../keys/keys.ts';
import { machineMicros } from '../local/local.ts';
import { createGrpcNetwork, join, type GrpcNetwork } from '../network/network.ts';
import { chooseLevel, readCpuFeatures } from '../wasm/cpu-features.ts';
import { openEngine } from '../wasm/native/native.ts';
import { architectureOf, openNodeEngine } from '../wasm/node-engine.ts';
import { SynchronousEngine } from '../wasm/wasm.ts';
import { ISA_AUTO } from '../../system/domain/isa.ts';
import { Gate } from './gate.ts';
import type { FromLoop, LoopSetup, ToLoop } from './messages.ts';
import { systemWall } from './wall.ts';

/** Bound: nodes that join at the same time. */
const JOINS_AT_ONCE = 4;
/** Bound: connections to one place that begin at the same time; others wait for that, no longer than for the connection itself. */
const DIALS_AT_ONCE = 8;
const LATENESS_EVERY_MS = 250;

/** `agent/depot-1@10.0.0.5:7430` is an endpoint of `depot-1`, whatever address it goes by elsewhere. */
function nodeIn(endpoint: Endpoint): string {
  return /^agent\/([^@]+)/.exec(endpoint)?.[1] ?? '';
}

function say(message: FromLoop): void {
  if (process.connected) process.send?.(message);
}

class Loop {
  readonly #setup: LoopSetup;
  readonly #networks = new Map<string, GrpcNetwork>();
  /** By the endpoint that is dialled. Bound: the machines that are not simulated. */
  readonly #gates = new Map<Endpoint, Gate>();
  readonly #file: number;
  #lines: string[] = [];
  /** Until there is anything that could stop in order. */
  #stop: () => void = () => process.exit();
  #order: (message: ToLoop) => void = () => {};

  constructor(setup: LoopSetup) {
    this.#setup = setup;
    this.#file = openSync(setup.records, 'a', 0o600);
  }

  async run(): Promise<void> {
    const { fleet, simulated, engine: library, seed, agentVersion, latenessMicrosMax } = this.#setup;
    const addon = openEngine(library);
    const architecture = architectureOf(addon.build.host);
    if (architecture === null) throw new Bug('Invariant broken: simulated nodes have the architecture of a machine that can be a node');
    const level = chooseLevel(architecture, readCpuFeatures(architecture), ISA_AUTO);
    if (!level.ok) return say({ kind: 'refused', why: describeError(level.error) });
    const { engine, profile } = openNodeEngine(addon, level.value.level);
    const joined = await this.#joinAll(fleet.nodes.filter(({ node }) => simulated.includes(node)));
    if (!joined.ok) return say({ kind: 'refused', why: describeError(joined.error) });

    const originMicros = machineMicros();
    const pace = new Pace(systemWall, latenessMicrosMax);
    const kernel = createKernel({
      seed,
      host: createNodeHost({ leave: () => this.#flush() }),
      pace,
      civilStartMs: Date.now(),
    });
    const nodes = new LoopedNodes({
      kernel,
      fleet,
      simulated: new Set(simulated),
      engine: new SynchronousEngine(engine, 'artefacts'),
      profile,
      crypto: nodeCrypto,
      agentVersion,
      dial: (peer, endpoint, deadlineMicros) => this.#dial(peer.name, endpoint, deadlineMicros),
      onRecord: (record) => this.#lines.push(JSON.stringify({ ...record, micros: originMicros + record.micros })),
      onEvent: (event) => say({ ...event, micros: originMicros + kernel.now() }),
    });
    const telling = setInterval(() => say({ kind: 'lateness', lateness: pace.lateness() }), LATENESS_EVERY_MS);
    let isOver = false;
    this.#stop = () => {
      clearInterval(telling);
      say({ kind: 'lateness', lateness: pace.lateness() });
      kernel.outside(null, 'stop', () =>
        kernel.own(
          'the nodes stopping',
          nodes.stop().then(() => void (isOver = true)),
        ),
      );
    };
    this.#order = (message) => {
      if (message.kind === 'order') kernel.outside(null, message.order.kind, () => nodes.obey(message.order));
      else if (message.kind === 'measure') {
        pace.measure();
        say({ kind: 'measured' });
      }
    };
    say({ kind: 'ready' });
    const end = await kernel.play({ done: () => isOver, microsMax: Number.MAX_SAFE_INTEGER });
    clearInterval(telling);
    this.#flush();
    closeSync(this.#file);
    if (end.reason === 'failed') {
      const why = end.error instanceof Error ? (end.error.stack ?? end.error.message) : String(end.error);
      say({ kind: 'failed', why: `${why}\nthe last events:\n${kernel.recent().join('\n')}` });
    }
    await Promise.all([...this.#networks.values()].map((network) => network.close()));
  }

  take(message: ToLoop): void {
    if (message.kind === 'stop') this.#stop();
    else this.#order(message);
  }

  /** A few at a time, since each takes both sides some milliseconds of a processor. */
  async #joinAll(nodes: readonly NodeSpec[]): Promise<Outcome<void>> {
    const waiting = nodes.map(({ node }) => node as string);
    let outcome: Outcome<void> = ok();
    const worker = async (): Promise<void> => {
      for (let node = waiting.shift(); node !== undefined && outcome.ok; node = waiting.shift()) {
        const joined = await join({ token: this.#setup.joinToken, name: `node/${node}` });
        if (!joined.ok) outcome = joined;
        else this.#networks.set(`node/${node}`, this.#networkFor(joined.value.identity, joined.value.addresses));
      }
    };
    await Promise.all(Array.from({ length: JOINS_AT_ONCE }, worker));
    return outcome;
  }

  #dial(peer: string, endpoint: Endpoint, deadlineMicros: number): Promise<Outcome<Connection>> {
    const sinceMicros = machineMicros();
    let gate = this.#gates.get(endpoint);
    if (gate === undefined) this.#gates.set(endpoint, (gate = new Gate(DIALS_AT_ONCE)));
    return gate.pass(async () => {
      const leftMicros = deadlineMicros - (machineMicros() - sinceMicros);
      if (leftMicros > 0) return this.#networkOf(peer).connect(endpoint, { deadlineMicros: leftMicros });
      return failed('WM_UNREACHABLE', {
        message: `${endpoint} could not be reached: its turn to be dialled did not come in time.`,
        next: 'Try again with backoff.',
      });
    });
  }

  #networkFor(identity: Parameters<typeof createGrpcNetwork>[0]['identity'], controllers: readonly string[]): GrpcNetwork {
    return createGrpcNetwork({
      addresses: (endpoint) => (endpoint === CONTROLLER ? controllers : (this.#setup.ways[nodeIn(endpoint)] ?? null)),
      listen: () => {
        throw new Bug('Invariant broken: nobody outside dials a simulated node');
      },
      identity,
      accepts: acceptsName,
    });
  }

  #networkOf(peer: string): Pick<GrpcNetwork, 'connect'> {
    const network = this.#networks.get(peer);
    if (network !== undefined) return network;
    const refused = rejected('WM_CERTIFICATE_REFUSED', { message: `${peer} has no certificate.`, next: 'Report this.' });
    return { connect: () => Promise.resolve(refused) };
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    writeSync(this.#file, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }
}

let loop: Loop | null = null;
process.on('message', (message: ToLoop) => {
  if (message.kind !== 'setup') return loop?.take(message);
  loop = new Loop(message.setup);
  loop.run().then(
    () => process.disconnect(),
    (error: unknown) => {
      say({ kind: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      process.disconnect();
    },
  );
});
// The runner is gone, or this is over.
process.on('disconnect', () => process.exit());
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
