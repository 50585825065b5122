// A node's own server (R13.3): what operators and the node itself may ask of it, and that it outlives its agent.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeService, PROTOCOL_METHODS } from '../../../hardware/network/network.ts';
import type { GrpcNetwork } from '../../../hardware/network/network.ts';
import { METRICS_METHOD, PING_METHOD, START_METHOD, STATUS_METHOD, STOP_METHOD } from '../../../system/domain/node-service.ts';
import type { AgentStatus } from '../../../system/domain/node-service.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok, rejected } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Listener } from '../../../system/ports/network.ts';
import { decodeNodeMetrics, decodeNodeStatus } from '../../../system/wire/codec/node.ts';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';

const ENDPOINT = 'agent/truck-7' as Endpoint;
const NAME = 'node/truck-7';
const WAIT = { deadlineMicros: 20_000_000 };
const NOTHING = new Uint8Array(0);
const STATUS: AgentStatus = {
  node: 'truck-7' as AgentStatus['node'],
  agentVersion: '1',
  isConnected: true,
  isLeaseHeld: true,
  instances: [],
  guestsOpen: 1,
  guestsMax: 9,
  uptimeMs: 12,
};

let authority: TestAuthority;
let world: GrpcWorld;
let service: NodeService;
let machine: GrpcNetwork;
/** What happened to the agent, as the composition root would make it happen. */
let log: string[];
let agent: Listener | null;
let startFails: boolean;
let stopping: Promise<void>;

beforeEach(async () => {
  authority = await TestAuthority.create();
  world = new GrpcWorld();
  log = [];
  agent = null;
  startFails = false;
  stopping = Promise.resolve();
  machine = world.machine((await authority.issue(NAME)).identity, { methods: PROTOCOL_METHODS });
  service = get(
    await NodeService.open({
      network: machine,
      endpoint: ENDPOINT,
      name: NAME,
      status: () => (agent === null ? null : STATUS),
      metrics: async () => 'guests_open 1\n',
      start: async () => {
        log.push('start');
        if (startFails) return rejected('WM_STORAGE_IN_USE', { message: 'The store is in use.', next: 'Stop the other.' });
        agent = get(
          await service.network.listen(ENDPOINT, { call: async (method) => ok(Buffer.from(`agent ${method}`)), stream: async () => {} }),
        );
        return ok();
      },
      stop: async () => {
        log.push('stop');
        await stopping;
        agent?.close();
        agent = null;
        log.push('stopped');
      },
    }),
  );
  get(await service.start());
});

afterEach(async () => {
  service.close();
  await world.close();
});

async function call(name: string, method: string): Promise<Outcome<Uint8Array>> {
  const client = world.machine((await authority.issue(name)).identity);
  const connection = get(await client.connect(ENDPOINT, WAIT));
  const answer = await connection.call(method, NOTHING, WAIT);
  connection.close();
  return answer;
}

const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code}: ${outcome.error.message}`);
const statusOf = async (): Promise<unknown> => get(decodeNodeStatus(get(await call('operator/ops', STATUS_METHOD))));

describe("a node's own server", () => {
  it('tells operators and the node itself how the agent is', async () => {
    expect(await statusOf()).toEqual({ phase: 'running', agent: STATUS });
    expect(get(decodeNodeMetrics(get(await call(NAME, METRICS_METHOD))))).toBe('guests_open 1\n');
    expect(Buffer.from(get(await call('node/truck-8', PING_METHOD))).toString()).toBe(`agent ${PING_METHOD}`);
  });

  it.each([STATUS_METHOD, METRICS_METHOD, STOP_METHOD, START_METHOD])('refuses %s to other nodes', async (method) => {
    expect(sentenceOf(await call('node/truck-8', method))).toBe(
      `WM_NODE_REFUSED: node/truck-8 is neither an operator nor node/truck-7, and may not call ${method}.`,
    );
    expect(log).toEqual(['start']);
  });

  it('stops the agent, stays, and starts it again', async () => {
    get(await call('operator/ops', STOP_METHOD));
    expect(await statusOf()).toEqual({ phase: 'stopped', agent: null });
    expect(sentenceOf(await call('node/truck-8', PING_METHOD))).toBe('WM_UNREACHABLE: The agent of node/truck-7 is stopped.');
    get(await call('operator/ops', STOP_METHOD));
    get(await call('operator/ops', START_METHOD));
    get(await call('operator/ops', START_METHOD));
    expect(await statusOf()).toEqual({ phase: 'running', agent: STATUS });
    expect(log).toEqual(['start', 'stop', 'stopped', 'start']);
  });

  it('lets a start wait for a stop that goes on', async () => {
    let release = (): void => {};
    stopping = new Promise((resolve) => (release = resolve));
    const stopped = call('operator/ops', STOP_METHOD);
    await expect.poll(() => service.phase).toBe('stopping');
    const started = service.start();
    release();
    expect([sentenceOf(await stopped), sentenceOf(await started)]).toEqual(['ok', 'ok']);
    expect(log).toEqual(['start', 'stop', 'stopped', 'start']);
    expect(service.phase).toBe('running');
  });

  it('says why the agent does not start, and is stopped', async () => {
    get(await service.stop());
    startFails = true;
    expect(sentenceOf(await call('operator/ops', START_METHOD))).toBe('WM_STORAGE_IN_USE: The store is in use.');
    expect(await statusOf()).toEqual({ phase: 'stopped', agent: null });
  });

  it('tells load balancers whether the agent runs', async () => {
    const told: boolean[] = [];
    const network = {
      ...machine,
      listen: async () => ok<Listener>({ close: () => {} }),
      setServing: (_: string, serving: boolean) => void told.push(serving),
    };
    const quiet = { endpoint: ENDPOINT, name: NAME, status: () => null, metrics: () => '' };
    const other = get(await NodeService.open({ ...quiet, network, start: async () => ok(), stop: async () => {} }));
    get(await other.start());
    get(await other.stop());
    expect(told).toEqual([false, false, true, false, false]);
  });

  it('bounds the starts and stops that wait', async () => {
    stopping = new Promise(() => {});
    const waiting = Array.from({ length: 17 }, () => service.stop());
    expect(await waiting[16]).toEqual(
      failed('WM_CANCELLED', {
        message: '16 starts and stops of node/truck-7 wait for one another.',
        next: 'Wait until they are done, then ask for its status.',
      }),
    );
  });
});
