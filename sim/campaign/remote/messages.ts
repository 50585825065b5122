// What campaigns and workers tell each other, as bytes: a run to be played with its whole scenario, pieces of what came of it, the
// call of a campaign and the answer of a worker. Whatever comes from the network is checked here; what does not fit is null.
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { RunSummary, Verdict } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { canonicalSeed } from '../../kernel/kernel.ts';
import { summaryOf, type PlayJob } from '../player.ts';
import type { Build } from './build.ts';

/** Version of these messages. */
const VERSION = 1;
/** Bound: bytes of a run or a summary when it is unpacked; a fleet of ten thousand nodes takes three million. */
const UNPACKED_BYTES_MAX = 64 * 1_024 * 1_024;
/** Bounds: characters of what others say for people. A reason names two builds and all that differs. */
const NAME_MAX = 200;
const REASON_MAX = 400;
/** What a worker may say of a run that it played to its end: who cancels it is the campaign. */
const VERDICTS: Readonly<Record<Exclude<Verdict, 'cancelled'>, true>> = {
  held: true,
  violated: true,
  unconverged: true,
  nondeterministic: true,
  bug: true,
  rejected: true,
};

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

/** What it says of the run it is asked of: what was asked, and the command that plays it, are the job's and never the worker's words. */
export function decodeSummary(bytes: Uint8Array, job: PlayJob): RunSummary | null {
  const value = unpack(bytes);
  if (value === null || value['v'] !== VERSION || !isRecord(value['summary'])) return null;
  const said = quiet(value['summary']);
  const { scenario, seed, verdict, goals, trouble, digest, simulatedMicros, wallMs, steps, records, notes, lastRecords } = said;
  if (scenario !== job.scenario.name || seed !== job.seed) return null;
  if (!isVerdict(verdict) || !isListOf(goals, isGoal) || !isListOf(lastRecords, isRecord)) return null;
  if (!isTextOrNull(trouble) || !isTextOrNull(digest) || (digest !== null && !/^[0-9a-f]{16}$/.test(digest))) return null;
  if (!isAmount(simulatedMicros) || !isAmount(wallMs) || !isCount(steps) || !isCount(records)) return null;
  if (notes !== undefined && !isListOf(notes, (note) => typeof note === 'string')) return null;
  return {
    ...summaryOf(job, { verdict, trouble, simulatedMicros, wallMs, steps }),
    goals: goals as unknown as RunSummary['goals'],
    digest,
    records,
    ...(notes === undefined ? {} : { notes: notes as readonly string[] }),
    lastRecords: lastRecords as unknown as RunSummary['lastRecords'],
  };
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
  return { build: printableBuild(value['build']), by: printable(String(value['by'])), from: value['from'], over: value['over'] === true };
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
  return { worker, name: printable(name), threads, refuses: refuses === null ? null : printable(refuses, REASON_MAX), playing: plays };
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
function printable(text: string, charactersMax = NAME_MAX): string {
  return text.slice(0, charactersMax).replaceAll(/[^ -~]/g, '?');
}

/** The same of all texts in it, which may have lines. */
function quiet<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_, inner: unknown) =>
    typeof inner === 'string' ? inner.replaceAll(/(?![\n\t])\p{Cc}/gu, '?') : inner,
  ) as T;
}

function isVerdict(value: unknown): value is Verdict {
  return typeof value === 'string' && Object.hasOwn(VERDICTS, value);
}

function isGoal(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['name', 'claim', 'because'].every((name) => typeof value[name] === 'string') &&
    ['held', 'unconverged'].every((name) => typeof value[name] === 'boolean') &&
    isTextOrNull(value['machine']) &&
    (value['micros'] === null || isAmount(value['micros'])) &&
    isCount(value['checks']) &&
    isRecord(value['figures']) &&
    (value['reached'] === undefined || isCount(value['reached']))
  );
}

function isListOf(value: unknown, is: (one: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(is);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
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
    printable(value['name'] as string) === value['name'] &&
    lists.every((name) => Array.isArray(value[name])) &&
    isRecord(value['fleet']) &&
    isRecord(value['platform']) &&
    isCount(value['durationMicros']) &&
    isCount(value['quietMicros'])
  );
}

/** It is told to people when it is another one; the right one is printable. */
function printableBuild(build: Build): Build {
  const { id, version, node, sources, engine, guests, commit } = build;
  return {
    id: printable(id),
    version: printable(version),
    commit: commit === null ? null : printable(commit),
    node: printable(node),
    sources: printable(sources),
    engine: printable(engine),
    guests: printable(guests),
  };
}

function isBuild(value: unknown): value is Build {
  return (
    isRecord(value) &&
    ['id', 'version', 'node', 'sources', 'engine', 'guests'].every((name) => typeof value[name] === 'string') &&
    (value['commit'] === null || typeof value['commit'] === 'string')
  );
}
