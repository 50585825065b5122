// What guests ask of the host, as data (docs/reference/guest-abi.md). Pure: bytes of a request in, an operation out.
// Texts are UTF-8; a request that is none is invalid. The value or payload is whatever follows the last newline of the head.
import type { Subject } from '../../system/domain/identifiers.ts';
import { STATE_KEY_LENGTH_MAX, STATE_VALUE_BYTES_MAX } from '../../system/domain/broker.ts';
import { EVENT_BYTES_MAX, EVENT_ID_LENGTH_MAX } from '../../system/domain/event.ts';
import { isSubject } from '../../system/domain/subject.ts';
import type { Digest, EventId, TriggerName } from '../../system/domain/identifiers.ts';
import type { LogLevel } from '../../system/domain/telemetry.ts';
import type { HostAnswer } from '../../system/ports/wasm.ts';
import type { AgentBounds } from '../bounds.ts';

/** Errors of the guest ABI. */
export const STATUS_DENIED = -1;
export const STATUS_NOT_FOUND = -2;
export const STATUS_CONFLICT = -3;
export const STATUS_UNAVAILABLE = -4;
export const STATUS_LIMIT_EXCEEDED = -5;
export const STATUS_INVALID = -6;

export type Operation =
  | { readonly kind: 'state-get'; readonly key: string }
  | { readonly kind: 'state-set'; readonly key: string; readonly expectedVersion: number | null; readonly value: Uint8Array }
  | { readonly kind: 'publish'; readonly subject: Subject; readonly data: Uint8Array }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly text: string }
  | { readonly kind: 'sleep'; readonly micros: number }
  /** The engine refused a WASI function before it came to a request. */
  | { readonly kind: 'denied'; readonly function: string }
  | { readonly kind: 'bad'; readonly status: number };

type OperationBounds = Pick<AgentBounds, 'logCharactersMax'>;

const NEWLINE = 0x0a;
const KEY = /^[A-Za-z0-9._/-]+$/;
const VERSION = /^(?:0|[1-9][0-9]{0,14})$/;
const INVALID: Operation = Object.freeze({ kind: 'bad', status: STATUS_INVALID });
const TOO_MUCH: Operation = Object.freeze({ kind: 'bad', status: STATUS_LIMIT_EXCEEDED });

export function readOperation(name: string, payload: Uint8Array, bounds: OperationBounds): Operation {
  switch (name) {
    case 'state_get': {
      const key = textOf(payload);
      return key !== null && isKey(key) ? { kind: 'state-get', key } : INVALID;
    }
    case 'state_set':
      return readStateSet(payload);
    case 'publish': {
      const head = splitLine(payload);
      if (head === null || !isSubject(head.line)) return INVALID;
      return head.rest.length > EVENT_BYTES_MAX ? TOO_MUCH : { kind: 'publish', subject: head.line, data: head.rest };
    }
    case 'log': {
      const text = textOf(payload);
      return text === null ? INVALID : { kind: 'log', level: 'info', text: text.slice(0, bounds.logCharactersMax) };
    }
    case 'wasi.log':
      return readLog(payload, bounds);
    case 'wasi.sleep': {
      if (payload.length !== 8) return INVALID;
      const nanos = new DataView(payload.buffer, payload.byteOffset, 8).getBigUint64(0, true);
      // Rounded up: a guest must not wake early. Longer than any deadline is long enough.
      const micros = (nanos + 999n) / 1_000n;
      return { kind: 'sleep', micros: micros > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(micros) };
    }
    case 'wasi.denied':
      return { kind: 'denied', function: (textOf(payload) ?? 'unknown').slice(0, bounds.logCharactersMax) };
    default:
      return INVALID;
  }
}

function readStateSet(payload: Uint8Array): Operation {
  const first = splitLine(payload);
  const second = first === null ? null : splitLine(first.rest);
  if (first === null || second === null || !isKey(first.line)) return INVALID;
  if (second.line !== '*' && !VERSION.test(second.line)) return INVALID;
  if (second.rest.length > STATE_VALUE_BYTES_MAX) return TOO_MUCH;
  return { kind: 'state-set', key: first.line, expectedVersion: second.line === '*' ? null : Number(second.line), value: second.rest };
}

/** Levels of `wasi:logging`, as ours. */
const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ['trace', 'debug'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['critical', 'error'],
]);

/** `<level>\n<context>\n<message>`. */
function readLog(payload: Uint8Array, bounds: OperationBounds): Operation {
  const first = splitLine(payload);
  const second = first === null ? null : splitLine(first.rest);
  const level = LEVELS.get(first?.line ?? '');
  const message = second === null ? null : textOf(second.rest);
  if (second === null || level === undefined || message === null) return INVALID;
  const text = second.line === '' ? message : `${second.line}: ${message}`;
  return { kind: 'log', level, text: text.slice(0, bounds.logCharactersMax) };
}

function isKey(key: string): boolean {
  return key.length <= STATE_KEY_LENGTH_MAX && KEY.test(key);
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The text before the first newline, and the bytes behind it. */
function splitLine(bytes: Uint8Array): { readonly line: string; readonly rest: Uint8Array } | null {
  const at = bytes.indexOf(NEWLINE);
  const line = at < 0 ? null : textOf(bytes.subarray(0, at));
  return line === null ? null : { line, rest: bytes.slice(at + 1) };
}

/** What covers the functions of a component, whose names begin with their interface. */
const INTERFACES = [
  ['wasi:clocks/', 'clock'],
  ['wasi:random/', 'random'],
  ['wasi:io/poll#', 'sleep'],
] as const;

/** The capability that would cover a function of WASI; of its own name where there is none. */
export function wasiCapability(name: string): string {
  switch (name) {
    case 'clock_time_get':
    case 'clock_res_get':
      return 'clock';
    case 'random_get':
      return 'random';
    case 'poll_oneoff':
      return 'sleep';
    default:
      return INTERFACES.find(([prefix]) => name.startsWith(prefix))?.[1] ?? (name.startsWith('wasi:') ? name : `wasi:${name}`);
  }
}

export function statusAnswer(status: number): HostAnswer {
  return { status, bytes: null };
}

export function textAnswer(text: string): HostAnswer {
  return { status: 0, bytes: new TextEncoder().encode(text) };
}

/** `<version>\n<value>`. */
export function stateAnswer(version: number, value: Uint8Array): HostAnswer {
  const head = new TextEncoder().encode(`${version}\n`);
  const bytes = new Uint8Array(head.length + value.length);
  bytes.set(head);
  bytes.set(value, head.length);
  return { status: 0, bytes };
}

/**
 * Name of an event that an invocation makes: the `count`-th one that the guest publishes (from 1), or its result (null).
 * The same for every invocation of one event by one trigger, so that the broker stores it once, and of no other effect: no
 * trigger has `/` or `#` in its name. A name that would be too long, at the end of a long chain of triggers, is replaced by its digest.
 */
export function effectIdOf(event: EventId, trigger: TriggerName, count: number | null, digest: (bytes: Uint8Array) => Digest): EventId {
  const id = count === null ? `${event}/${trigger}` : `${event}/${trigger}#${count}`;
  if (id.length <= EVENT_ID_LENGTH_MAX) return id as EventId;
  return digest(new TextEncoder().encode(id)) as string as EventId;
}
