// The state store and its client: compare-and-set, fences, bounds, and what a failing disk means.
import { describe, expect, it } from 'vitest';
import { STATE_GET_METHOD, STATE_KEY_LENGTH_MAX, STATE_PUT_METHOD, STATE_VALUE_BYTES_MAX } from '../../../system/domain/broker.ts';
import type { FencingToken } from '../../../system/domain/event.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import type { ServiceHandler } from '../../../system/ports/network.ts';
import type { State } from '../../../system/ports/state.ts';
import { createStateClient, createStateStore } from '../../../system/state/state.ts';
import { encodeStatePutRequest } from '../../../system/wire/codec/broker.ts';
import { admitAll, codeOf, fenceOf, get } from '../../support/bus/site.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { MemoryNetwork } from '../../support/ports/memory-network.ts';
import { MemoryDisk } from '../../support/ports/memory-storage.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';

const STORE = 'store' as Endpoint;
const DEADLINE = { deadlineMicros: 1_000_000 };

async function open() {
  const disk = new MemoryDisk();
  const telemetry = new MemoryTelemetry();
  const network = new MemoryNetwork();
  const time = new MemoryTime();
  const store = createStateStore({ storage: disk.portOf(time.process()), telemetry });
  const serve = () =>
    network.listen(STORE, { call: (method, _peer, request) => store.handleCall(method, admitAll, request), stream: async () => {} });
  const listener = get(await serve());
  return { disk, telemetry, network, store, serve, listener, state: createStateClient({ network }, { store: STORE }) };
}

function put(state: State, key: string, text: string, expectedVersion: number | null = null, fence: FencingToken | null = null) {
  return state.put(key, new TextEncoder().encode(text), { expectedVersion, fence, ...DEADLINE });
}

async function read(state: State, key: string): Promise<[number, string] | null> {
  const entry = get(await state.get(key, DEADLINE));
  return entry === null ? null : [entry.version, new TextDecoder().decode(entry.value)];
}

describe('the state store', () => {
  it('numbers the versions of a key from 1', async () => {
    const { state, telemetry } = await open();
    expect(await read(state, 'count')).toBeNull();
    expect(get(await put(state, 'count', 'a'))).toBe(1);
    expect(get(await put(state, 'count', 'b', null, fenceOf('app/0', 3)))).toBe(2);
    expect(await read(state, 'count')).toEqual([2, 'b']);
    expect(telemetry.of('state.written')).toEqual([
      { key: 'count', version: 1, bytes: 1, instance: null, epoch: null },
      { key: 'count', version: 2, bytes: 1, instance: 'app/0', epoch: 3 },
    ]);
  });

  it('writes only over the version that was expected', async () => {
    const { state } = await open();
    expect(get(await put(state, 'count', 'a', 0))).toBe(1);
    expect(codeOf(await put(state, 'count', 'b', 0))).toBe('WM_CONFLICT');
    expect(codeOf(await put(state, 'count', 'b', 2))).toBe('WM_CONFLICT');
    expect(get(await put(state, 'count', 'b', 1))).toBe(2);
    expect(await read(state, 'count')).toEqual([2, 'b']);
  });

  it('refuses and records writes of a superseded placement, and lets others through', async () => {
    const { state, store, telemetry } = await open();
    store.fence(fenceOf('app/0', 2));
    store.fence(fenceOf('app/0', 1));
    expect(codeOf(await put(state, 'count', 'a', null, fenceOf('app/0', 1)))).toBe('WM_FENCED');
    expect(await read(state, 'count')).toBeNull();
    expect(telemetry.of('effect.fenced')).toEqual([{ what: 'write of count', instance: 'app/0', epoch: 1, current: 2 }]);
    expect(get(await put(state, 'count', 'a', null, fenceOf('app/0', 2)))).toBe(1);
    expect(get(await put(state, 'other', 'a', null, fenceOf('app/1', 1)))).toBe(1);
  });

  it('refuses keys and values beyond their bounds, and what is no message', async () => {
    const { state, store } = await open();
    expect(codeOf(await put(state, '', 'a'))).toBe('WM_MESSAGE_INVALID');
    expect(codeOf(await put(state, 'k'.repeat(STATE_KEY_LENGTH_MAX + 1), 'a'))).toBe('WM_MESSAGE_INVALID');
    expect(codeOf(await put(state, 'k', 'a'.repeat(STATE_VALUE_BYTES_MAX + 1)))).toBe('WM_MESSAGE_INVALID');
    expect(get(await put(state, 'k'.repeat(STATE_KEY_LENGTH_MAX), 'a'.repeat(STATE_VALUE_BYTES_MAX)))).toBe(1);
    expect(codeOf(await store.handleCall('/wasmmatrix.v1.State/Drop', admitAll, new Uint8Array()))).toBe('WM_MESSAGE_INVALID');
  });

  it('ends when it does not know what the disk holds', async () => {
    const { state, store, disk } = await open();
    disk.isBroken = true;
    expect(await put(state, 'count', 'a')).toMatchObject({ ok: false, error: { kind: 'unknown' } });
    expect(await store.ended).toContain('storage failed');
    disk.isBroken = false;
    expect(await put(state, 'count', 'a')).toMatchObject({ ok: false, error: { kind: 'failed', code: 'WM_CANCELLED' } });
    const request = encodeStatePutRequest({ key: 'count', value: new Uint8Array(), expectedVersion: null, fence: null });
    expect(codeOf(await store.handleCall(STATE_PUT_METHOD, admitAll, request))).toBe('WM_CANCELLED');
  });
});

describe('its client', () => {
  it('keeps one connection, also when two calls dial at once, and dials again when it is lost', async () => {
    const { state, network, listener, serve } = await open();
    await Promise.all([read(state, 'a'), read(state, 'b')]);
    expect(network.connections).toBe(1);
    listener.close();
    expect(codeOf(await put(state, 'a', 'x'))).toBe('WM_CONNECTION_LOST');
    expect(codeOf(await put(state, 'a', 'x'))).toBe('WM_UNREACHABLE');
    expect(network.connections).toBe(0);
    get(await serve());
    expect(get(await put(state, 'a', 'x'))).toBe(1);
    expect(network.connections).toBe(1);
  });

  it('lets what else is under way come to its end when one answer is late', async () => {
    const { state, network, store } = await open();
    get(await put(state, 'a', 'x'));
    let answer: () => void = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const call: ServiceHandler['call'] = async (method, _peer, request) => {
      if (method === STATE_PUT_METHOD) await answered;
      return store.handleCall(method, admitAll, request);
    };
    get(await network.listen(STORE, { call, stream: async () => {} }));
    const writing = put(state, 'b', 'x');
    network.late.add(STATE_GET_METHOD);
    expect(codeOf(await state.get('a', DEADLINE))).toBe('WM_DEADLINE');
    network.late.clear();
    expect(await read(state, 'a')).toEqual([1, 'x']);
    answer();
    expect(get(await writing)).toBe(1);
    expect([network.dials, network.connections]).toEqual([2, 1]);
  });
});
