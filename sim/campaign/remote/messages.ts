// What campaigns and workers tell each other, as bytes: a run to be played with its whole scenario, pieces of what came of it, the
// call of a campaign and the answer of a worker. Whatever comes from the network is checked here; what does not fit is null.
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { RunSummary } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { canonicalSeed } from '../../kernel/kernel.ts';
import type { PlayJob } from '../player.ts';
import type { Build } from './build.ts';

/** Version of these messages. */
const VERSION = 1;
/** Bound: bytes of a run or a summary when it is unpacked; a fleet of ten thousand nodes takes three million. */
const UNPACKED_BYTES_MAX = 64 * 1_024 * 1_024;
/** Bound: characters of what others say for people. */
const WORDS_MAX = 400;

/** A run on its way to a worker. `issue` counts how often the campaign offered it. */
export type RunMessage = {
  readonly build: string;
  readonly issue: number;
  readonly job: Omit<PlayJob, 'recordFile'> & { readonly keepsRecord: boolean };
};

/**
 * A piece of what came of a run. `attempt` is one play by one worker, so that pieces of two are never mixed. record: the n-th piece of
 * its packed record. end: the summary; with it all pieces are there. back: given back before it ended. worn: it was handed out so often
 * that this worker did not play it.
 */
export type PartMeta =
  | { readonly kind: 'record'; readonly attempt: string; readonly n: number }
  | { readonly kind: 'end'; readonly attempt: string; readonly pieces: number; readonly sha256: string; readonly worker: string }
  | { readonly kind: 'back'; readonly issue: number; readonly worker: string }
  | { readonly kind: 'worn'; readonly issue: number; readonly deliveries: number };

/** `from`: runs below it are wanted no more. `over`: none is. */
export type CallMessage = { readonly build: Build; readonly by: string; readonly from: number; readonly over: boolean };

export type AnswerMessage = {
  /** Of this process alone. */
  readonly worker: string;
  /** For people. */
  readonly name: string;
  readonly threads: number;
  /** Why it plays nothing of this campaign; null: it does. */
  readonly refuses: string | null;
  readonly playing: readonly { readonly run: number; readonly micros: number; readonly steps: number }[];
};

export function encodeRun(message: RunMessage): Uint8Array {
  return pack({ v: VERSION, ...message });
}

export function decodeRun(bytes: Uint8Array): RunMessage | null {
  const value = unpack(bytes);
  if (value === null || value['v'] !== VERSION) return null;
  const { build, issue, job } = value;
  if (typeof build !== 'string' || !isCount(issue) || !isRecord(job)) return null;
  const { scenario, seed, verify, permute, reproduce, keepsRecord } = job;
  if (!isScenario(scenario) || typeof seed !== 'string' || canonicalSeed(seed) !== seed) return null;
  if (typeof verify !== 'boolean' || typeof reproduce !== 'string' || typeof keepsRecord !== 'boolean') return null;
  return { build, issue, job: { scenario, seed, verify, permute: permute === true, reproduce, keepsRecord } };
}

export function encodeSummary(summary: RunSummary): Uint8Array {
  return pack({ v: VERSION, summary });
}

export function decodeSummary(bytes: Uint8Array): RunSummary | null {
  const value = unpack(bytes);
  if (value === null || value['v'] !== VERSION || !isRecord(value['summary'])) return null;
  const { scenario, seed, verdict, goals, steps, simulatedMicros } = value['summary'];
  const isWhole = [scenario, seed, verdict].every((text) => typeof text === 'string') && Array.isArray(goals);
  return isWhole && isCount(steps) && typeof simulatedMicros === 'number' ? (value['summary'] as unknown as RunSummary) : null;
}

export function encodeMeta(meta: PartMeta): string {
  return JSON.stringify(meta);
}

export function decodeMeta(text: string): PartMeta | null {
  const value = parse(text);
  if (value === null) return null;
  const { kind, attempt, n, pieces, sha256, worker, issue, deliveries } = value;
  if (kind === 'record') return isAttempt(attempt) && isCount(n) ? { kind, attempt, n } : null;
  if (kind === 'end')
    return isAttempt(attempt) && isCount(pieces) && typeof sha256 === 'string' && typeof worker === 'string'
      ? { kind, attempt, pieces, sha256, worker: printable(worker) }
      : null;
  if (kind === 'back') return isCount(issue) && typeof worker === 'string' ? { kind, issue, worker: printable(worker) } : null;
  if (kind === 'worn') return isCount(issue) && isCount(deliveries) ? { kind, issue, deliveries } : null;
  return null;
}

export function encodeCall(message: CallMessage): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: VERSION, ...message }));
}

/** A call of another version is no call that can be judged: `build` alone is read of it, to say why. */
export function decodeCall(bytes: Uint8Array): CallMessage | null {
  const value = parse(new TextDecoder().decode(bytes));
  if (value === null || !isBuild(value['build']) || !isCount(value['from'])) return null;
  return { build: value['build'], by: printable(String(value['by'])), from: value['from'], over: value['over'] === true };
}

export function encodeAnswer(message: AnswerMessage): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}

export function decodeAnswer(bytes: Uint8Array): AnswerMessage | null {
  const value = parse(new TextDecoder().decode(bytes));
  if (value === null) return null;
  const { worker, name, threads, refuses, playing } = value;
  if (typeof worker !== 'string' || typeof name !== 'string' || !isCount(threads) || !Array.isArray(playing)) return null;
  if (refuses !== null && typeof refuses !== 'string') return null;
  const plays = playing.flatMap((one: unknown) => {
    const { run, micros, steps } = isRecord(one) ? one : {};
    return isCount(run) && isCount(micros) && isCount(steps) ? [{ run, micros, steps }] : [];
  });
  return { worker, name: printable(name), threads, refuses: refuses === null ? null : printable(refuses), playing: plays };
}

export function sha256Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function pack(value: unknown): Uint8Array {
  return gzipSync(JSON.stringify(value));
}

function unpack(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    return parse(gunzipSync(bytes, { maxOutputLength: UNPACKED_BYTES_MAX }).toString('utf8'));
  } catch {
    return null;
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** Others' words go to a terminal. */
function printable(text: string): string {
  return text.slice(0, WORDS_MAX).replaceAll(/[^ -~]/g, '?');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** It becomes a part of the name of a file. */
function isAttempt(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9-]{1,64}$/.test(value);
}

/** What a worker of the same build wants of it to begin; the rest is the player's business. */
function isScenario(value: unknown): value is Scenario {
  if (!isRecord(value)) return false;
  const lists = ['requirements', 'tags', 'steps', 'workload', 'observe', 'observeState', 'goals'];
  return (
    ['name', 'file', 'question'].every((name) => typeof value[name] === 'string') &&
    lists.every((name) => Array.isArray(value[name])) &&
    isRecord(value['fleet']) &&
    isRecord(value['platform']) &&
    isCount(value['durationMicros']) &&
    isCount(value['quietMicros'])
  );
}

function isBuild(value: unknown): value is Build {
  return (
    isRecord(value) &&
    ['id', 'version', 'node', 'sources', 'engine', 'guests'].every((name) => typeof value[name] === 'string') &&
    (value['commit'] === null || typeof value['commit'] === 'string')
  );
}
