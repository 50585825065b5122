// Requests of guests, byte for byte as docs/reference/guest-abi.md says.
import { describe, expect, test } from 'vitest';
import { AGENT_BOUNDS } from '../../../agents/bounds.ts';
import {
  effectIdOf,
  readOperation,
  stateAnswer,
  STATUS_INVALID,
  STATUS_LIMIT_EXCEEDED,
  wasiCapability,
} from '../../../agents/guests/operations.ts';
import { STATE_KEY_LENGTH_MAX, STATE_VALUE_BYTES_MAX } from '../../../system/domain/broker.ts';
import { EVENT_BYTES_MAX, EVENT_ID_LENGTH_MAX } from '../../../system/domain/event.ts';
import type { Digest, EventId, TriggerName } from '../../../system/domain/identifiers.ts';
import { decodeStatePutRequest, encodeStatePutRequest } from '../../../system/wire/codec/broker.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (name: string, payload: Uint8Array): ReturnType<typeof readOperation> => readOperation(name, payload, AGENT_BOUNDS);
const INVALID = { kind: 'bad', status: STATUS_INVALID };
const TOO_MUCH = { kind: 'bad', status: STATUS_LIMIT_EXCEEDED };

describe('state', () => {
  test('is read by key', () => {
    expect(read('state_get', bytes('counter/a.b'))).toEqual({ kind: 'state-get', key: 'counter/a.b' });
  });
  test('is not read by what is no key', () => {
    for (const key of ['', 'a key', 'a\nb', 'ü', 'k'.repeat(STATE_KEY_LENGTH_MAX + 1)])
      expect(read('state_get', bytes(key))).toEqual(INVALID);
    expect(read('state_get', Uint8Array.of(0xff, 0xfe))).toEqual(INVALID);
  });
  test('is written with an expected version, and a value that may hold newlines', () => {
    expect(read('state_set', bytes('k\n7\na\nb'))).toEqual({ kind: 'state-set', key: 'k', expectedVersion: 7, value: bytes('a\nb') });
    expect(read('state_set', bytes('k\n0\n'))).toEqual({ kind: 'state-set', key: 'k', expectedVersion: 0, value: bytes('') });
    expect(read('state_set', bytes('k\n*\nv'))).toEqual({ kind: 'state-set', key: 'k', expectedVersion: null, value: bytes('v') });
  });
  test('is not written with another version', () => {
    for (const version of ['', '-1', '01', '1.0', ' 1', '1e3', '9'.repeat(16)])
      expect(read('state_set', bytes(`k\n${version}\nv`))).toEqual(INVALID);
    expect(read('state_set', bytes('k\n1'))).toEqual(INVALID);
    expect(read('state_set', bytes('k'))).toEqual(INVALID);
  });
  test('is not written beyond its bound', () => {
    expect(read('state_set', bytes(`k\n0\n${'v'.repeat(STATE_VALUE_BYTES_MAX)}`)).kind).toBe('state-set');
    expect(read('state_set', bytes(`k\n0\n${'v'.repeat(STATE_VALUE_BYTES_MAX + 1)}`))).toEqual(TOO_MUCH);
  });
  test('that a guest may write is taken by the store, up to the longest key and the largest value', () => {
    const write = read('state_set', bytes(`${'k'.repeat(STATE_KEY_LENGTH_MAX)}\n*\n${'v'.repeat(STATE_VALUE_BYTES_MAX)}`));
    if (write.kind !== 'state-set') throw new Error(`the agent lets it through, and does not say ${write.kind}`);
    const { key, value, expectedVersion } = write;
    expect(decodeStatePutRequest(encodeStatePutRequest({ key, value, expectedVersion, fence: null }))).toMatchObject({ ok: true });
  });
  test('is answered as version, newline, value', () => {
    expect(stateAnswer(12, bytes('a\nb'))).toEqual({ status: 0, bytes: bytes('12\na\nb') });
  });
});

describe('publish', () => {
  test('takes a subject and any bytes', () => {
    expect(read('publish', Uint8Array.of(...bytes('alerts.brake\n'), 0, 255, 10))).toEqual({
      kind: 'publish',
      subject: 'alerts.brake',
      data: Uint8Array.of(0, 255, 10),
    });
  });
  test('refuses what is no subject, and data that no event may carry', () => {
    for (const request of ['alerts.*\nx', '\nx', 'alerts', 'a b\nx']) expect(read('publish', bytes(request))).toEqual(INVALID);
    expect(read('publish', bytes(`a\n${'x'.repeat(EVENT_BYTES_MAX + 1)}`))).toEqual(TOO_MUCH);
  });
});

describe('the rest', () => {
  test('a log line is cut, not refused', () => {
    expect(read('log', bytes('x'.repeat(AGENT_BOUNDS.logCharactersMax + 5)))).toEqual({
      kind: 'log',
      level: 'info',
      text: 'x'.repeat(AGENT_BOUNDS.logCharactersMax),
    });
  });
  test('a log line of wasi:logging has a level of ours, and its context before it', () => {
    expect(read('wasi.log', bytes('warn\nengine\nhot\nand loud'))).toEqual({ kind: 'log', level: 'warn', text: 'engine: hot\nand loud' });
    expect(read('wasi.log', bytes('trace\n\n'))).toEqual({ kind: 'log', level: 'debug', text: '' });
    expect(read('wasi.log', bytes('critical\n\nfire'))).toEqual({ kind: 'log', level: 'error', text: 'fire' });
    expect(read('wasi.log', bytes(`info\n\n${'x'.repeat(AGENT_BOUNDS.logCharactersMax + 5)}`))).toEqual({
      kind: 'log',
      level: 'info',
      text: 'x'.repeat(AGENT_BOUNDS.logCharactersMax),
    });
    for (const request of ['', 'warn', 'warn\nx', 'loud\n\nx', '\n\nx']) expect(read('wasi.log', bytes(request))).toEqual(INVALID);
    expect(read('wasi.log', Uint8Array.of(...bytes('info\n\n'), 0xff))).toEqual(INVALID);
  });
  test('a function of WASI is covered by a capability, or by none that there is', () => {
    expect(wasiCapability('clock_time_get')).toBe('clock');
    expect(wasiCapability('wasi:clocks/wall-clock#now')).toBe('clock');
    expect(wasiCapability('wasi:random/insecure-seed#insecure-seed')).toBe('random');
    expect(wasiCapability('wasi:io/poll#[method]pollable.block')).toBe('sleep');
    expect(wasiCapability('wasi:cli/environment#get-environment')).toBe('wasi:cli/environment#get-environment');
    expect(wasiCapability('path_open')).toBe('wasi:path_open');
  });
  test('a sleep is never shorter than asked', () => {
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setBigUint64(0, 1_500n, true);
    expect(read('wasi.sleep', payload)).toEqual({ kind: 'sleep', micros: 2 });
    expect(read('wasi.sleep', new Uint8Array(8).fill(0xff))).toMatchObject({ kind: 'sleep' });
    expect(read('wasi.sleep', new Uint8Array(7))).toEqual(INVALID);
  });
  test('a denied function is named, an unknown operation is invalid', () => {
    expect(read('wasi.denied', bytes('path_open'))).toEqual({ kind: 'denied', function: 'path_open' });
    expect(read('reboot', bytes(''))).toEqual(INVALID);
  });
});

describe('names of effects', () => {
  const digest = (): Digest => `sha256:${'0'.repeat(64)}` as Digest;
  const name = (id: string, count: number | null): string => effectIdOf(id as EventId, 't' as TriggerName, count, digest);
  test('are the same for every invocation of an event by a trigger', () => {
    expect(name('e1', null)).toBe('e1/t');
    expect(name('e1', 2)).toBe('e1/t#2');
  });
  test('are of one effect alone, also where triggers are called by numbers', () => {
    const resultOfResult = effectIdOf(name('e1', null) as EventId, '1' as TriggerName, null, digest);
    expect(resultOfResult).not.toBe(name('e1', 1));
  });
  test('never grow beyond what an event may be called', () => {
    expect(name('e'.repeat(EVENT_ID_LENGTH_MAX), null).length).toBeLessThanOrEqual(EVENT_ID_LENGTH_MAX);
  });
});
