// Where a node is dialled: its endpoint tells every address under which it may be reached, and whoever dials tries them in turn.
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { addressesInEndpoint, endpointAt } from '../../../hardware/compose.main.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';

const NODE = 'agent/edge' as Endpoint;
const SECOND = 1_000_000;

const world = new GrpcWorld();
afterEach(() => world.close());

it('reaches a node under its second address where the first is somebody else’s', async () => {
  const authority = await TestAuthority.create();
  // Takes calls, and never says a word.
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const node = world.machine((await authority.issue('node/edge')).identity);
  get(await node.listen(NODE, { call: async () => ok(Buffer.from('here')), stream: async () => {} }));
  const endpoint = endpointAt(NODE, [`127.0.0.1:${(silent.address() as AddressInfo).port}`, node.addressOf(NODE) ?? '']);
  const other = world.machine((await authority.issue('node/west')).identity, { addresses: addressesInEndpoint });
  const connection = get(await other.connect(endpoint, { deadlineMicros: 8 * SECOND }));
  const answer = get(await connection.call('/a/B', Buffer.alloc(0), { deadlineMicros: 8 * SECOND }));
  expect(Buffer.from(answer).toString()).toBe('here');
  silent.close();
});

it('tells as many addresses as an endpoint has room for, and never half of one', () => {
  expect(endpointAt('agent/edge', ['10.0.0.5:7430', '[fd00::5]:7430'])).toBe('agent/edge@10.0.0.5:7430,[fd00::5]:7430');
  expect(addressesInEndpoint('agent/edge@10.0.0.5:7430,[fd00::5]:7430' as Endpoint)).toEqual(['10.0.0.5:7430', '[fd00::5]:7430']);
  expect(addressesInEndpoint('controller' as Endpoint)).toBeNull();
  const many = Array.from({ length: 16 }, (_, i) => `a-rather-long-name-of-a-host-${i}.example:7430`);
  const told = addressesInEndpoint(endpointAt('agent/edge', many)) ?? [];
  expect(told).toEqual(many.slice(0, told.length));
  expect([told.length > 1, told.length < many.length]).toEqual([true, true]);
  expect(endpointAt('agent/edge', many).length).toBeLessThanOrEqual(256);
});
