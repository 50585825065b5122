// A site with one nats-server, a folder of keys that its controllers share, operators and agents in the process of the test.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAgent } from '../../../agents/agent.ts';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { Authority, createGrpcNetwork, createIdentityKey } from '../../../hardware/network/network.ts';
import type { GrpcNetwork } from '../../../hardware/network/network.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { openStorage } from '../../../hardware/storage/storage.ts';
import { createBusClient } from '../../../system/bus/bus.ts';
import { DEFAULT_CONFIG } from '../../../system/controller/controller.ts';
import type { Endpoint, NodeId, ZonePath } from '../../../system/domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorReply } from '../../../system/domain/operator.ts';
import { EXECUTE_METHOD, QUERY_METHOD } from '../../../system/domain/operator.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { MICROS_PER_S } from '../../../system/ports/clock.ts';
import { createStateClient } from '../../../system/state/state.ts';
import {
  decodeOperatorAnswer,
  decodeOperatorReply,
  encodeOperatorQuery,
  encodeOperatorRequest,
} from '../../../system/wire/codec/operator.ts';
import { PROFILE, ScriptedWasm } from '../../support/agent/scripted-wasm.ts';
import { reserveAddress } from '../../support/network/reserve.ts';
import { startNats } from '../../support/nats/nats.ts';
import type { NatsServer } from '../../support/nats/nats.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';
import { startTalker } from '../../support/process/talker.ts';
import type { Talker } from '../../support/process/talker.ts';
import { get } from '../storage/contents.ts';
import { JOIN_TOKEN } from './controller.fixture.ts';
import type { ControllerSetting } from './controller.fixture.ts';

const CONTROLLER = fileURLToPath(new URL('./controller.fixture.ts', import.meta.url));
/** A third of it may go by without a renewal, and two writes that a busy disk holds up take longer than one might think. */
const LEASE_MS = 4_000;
const KEEPALIVE = { idleMs: 500, answerMs: 500 };
const WAIT_STEP_MS = 50;
const WAIT_MS_MAX = 90_000;

/** Bound: `WAIT_MS_MAX`. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const start = performance.now(); !(await holds());) {
    if (performance.now() - start > WAIT_MS_MAX) throw new Error(`It did not happen within ${WAIT_MS_MAX} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS));
  }
}

export type Member = { readonly address: string; readonly talker: Talker };
export type Operator = {
  execute(id: string, command: OperatorCommand): Promise<Outcome<OperatorReply>>;
  query<K extends 'nodes' | 'trust'>(kind: K): Promise<Extract<OperatorAnswer, { readonly kind: K }>>;
};

export class Site {
  readonly nats: NatsServer;
  readonly #folder: string;
  readonly #authority: Authority;
  readonly #members: Member[] = [];
  readonly #ends: (() => Promise<unknown>)[] = [];

  private constructor(nats: NatsServer, folder: string, authority: Authority) {
    this.nats = nats;
    this.#folder = folder;
    this.#authority = authority;
  }

  static async open(): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-leadership-'));
    const keys = new FileKeys(join(folder, 'keys'));
    const authority = get(await Authority.open({ keys, keyName: 'authority', civilMs: () => Date.now() }));
    return new Site(await startNats({ config: 'max_payload: 2MB' }), folder, authority);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
    for (const { talker } of this.#members) await talker.destroy();
    await this.nats.stop();
    await rm(this.#folder, { recursive: true });
  }

  async startController(name: string, setting: Partial<ControllerSetting> = {}): Promise<Member> {
    const listen = await reserveAddress();
    const whole: ControllerSetting = {
      name,
      nats: this.nats.url,
      monitor: this.nats.monitorUrl,
      keys: join(this.#folder, 'keys'),
      listen,
      leaseMs: LEASE_MS,
      heedless: false,
      ...setting,
    };
    const member = { address: listen, talker: startTalker(CONTROLLER, [JSON.stringify(whole)]) };
    this.#members.push(member);
    return member;
  }

  /** Speaks to that controller alone. */
  async operator({ address }: Member): Promise<Operator> {
    const network = await this.#network('operator/ops', () => address);
    const call = async (method: string, request: Uint8Array): Promise<Outcome<Uint8Array>> => {
      const connected = await network.connect(DEFAULT_CONFIG.endpoint, { deadlineMicros: 5 * MICROS_PER_S });
      if (!connected.ok) return connected;
      const answer = await connected.value.call(method, request, { deadlineMicros: 20 * MICROS_PER_S });
      connected.value.close();
      return answer;
    };
    return {
      execute: async (id, command) => {
        const answer = await call(EXECUTE_METHOD, encodeOperatorRequest({ id, command }));
        return answer.ok ? decodeOperatorReply(answer.value) : answer;
      },
      query: async (kind) => {
        const answer = get(decodeOperatorAnswer(get(await call(QUERY_METHOD, encodeOperatorQuery({ kind })))));
        return answer as Extract<OperatorAnswer, { readonly kind: typeof kind }>;
      },
    };
  }

  /** A real agent, which knows the addresses of all controllers. */
  async startAgent(node: string): Promise<MemoryTelemetry> {
    let turn = 0;
    const network = await this.#network(`node/${node}`, () => this.#members[turn++ % this.#members.length]?.address ?? null);
    const clock = new SystemClock();
    const telemetry = new MemoryTelemetry();
    const storage = get(await openStorage({ folder: join(this.#folder, node) }));
    const controller = DEFAULT_CONFIG.endpoint;
    const agent = createAgent(
      {
        clock,
        random: new SystemRandom(),
        network,
        bus: createBusClient({ network }, { broker: controller }),
        state: createStateClient({ network }, { store: controller }),
        storage,
        wasm: new ScriptedWasm(clock, new Map()),
        keys: new FileKeys(join(this.#folder, `${node}-keys`)),
        telemetry,
      },
      {
        facts: {
          node: node as NodeId,
          architecture: 'x86_64',
          isaFeatures: [],
          cores: 2,
          memoryBytes: 1_000_000,
          hardware: [],
          location: { latitude: 0, longitude: 0 },
          zone: 'cloud/eu' as ZonePath,
          faultDomain: 'cloud/eu/rack-1' as ZonePath,
          profile: PROFILE.profile,
          target: PROFILE.target,
          agentVersion: '0.1.0',
          endpoint: `agent/${node}` as Endpoint,
        },
        joinToken: JOIN_TOKEN,
        controller,
        version: '0.1.0',
      },
    );
    get(await agent.start());
    this.#ends.push(
      () => storage.close(),
      () => agent.stop(),
    );
    return telemetry;
  }

  async #network(name: string, address: () => string | null): Promise<GrpcNetwork> {
    const { privateKey, publicKey } = createIdentityKey();
    const { certificate } = get(await this.#authority.issue({ name, publicKey }));
    const network = createGrpcNetwork({
      addresses: address,
      listen: () => '127.0.0.1:0',
      identity: { certificate, privateKey, authorities: [this.#authority.certificate] },
      accepts: (_endpoint, peer) => peer === 'controller',
      keepalive: KEEPALIVE,
    });
    this.#ends.push(() => network.close());
    return network;
  }
}
