// Plays the conformance set on the machine it runs on, which may be an emulated one: `node play.main.ts <job.json>`. Prints what came of
// each case as JSON lines. Needs an engine, a folder with the set, and nothing else.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isEngineError, isProfileMismatch, openEngine, type Engine, type EngineModule, type EngineProfile } from '../wasm/native/native.ts';
import type { CaseResult, ConformanceCase, ConformanceSet, PlayedLine } from './case.ts';

export type PlayJob = {
  /** Library of the engine addon for this machine. */
  readonly engine: string;
  /** With `set.json` and the modules. */
  readonly set: string;
  readonly levels: readonly { readonly level: string; readonly profile: EngineProfile }[];
  readonly artefacts: {
    readonly folder: string;
    /** False: what is compiled here is written there, for others. True: what is run was compiled by another and is read from there. */
    readonly read: boolean;
  };
  /** False: nothing is compiled here, as on a node. */
  readonly compiles: boolean;
};

const MICROS_START = 1_000_000;
const CIVIL_START = 1_750_000_000_000_000;

const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as PlayJob;
/** At once: who watches sees that it goes on. */
const print = (line: PlayedLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const addon = openEngine(job.engine);
const set = JSON.parse(readFileSync(join(job.set, 'set.json'), 'utf8')) as ConformanceSet;
print({ kind: 'host', architecture: process.arch, node: process.version, wasmtime: addon.build.wasmtime, compiler: addon.build.compiler });
for (const { level, profile } of job.levels) playLevel(level, profile);
print({ kind: 'end' });

function playLevel(level: string, profile: EngineProfile): void {
  const engine = addon.createEngine(profile, { threads: 1 });
  print({ kind: 'profile', level, text: engine.profileText });
  let isOwn = engine.target === addon.build.host;
  for (const { name, wasm, cases } of set.modules) {
    const made = job.compiles ? compile(engine, level, name, new Uint8Array(readFileSync(join(job.set, wasm)))) : null;
    const file = join(job.artefacts.folder, `${level}-${wasm}.cwasm`);
    if (made !== null && !job.artefacts.read) writeFileSync(file, made);
    // What a node gets was compiled by the controller, on another architecture; where that gave up, there is nothing to run.
    const artefact = !job.artefacts.read ? made : existsSync(file) ? new Uint8Array(readFileSync(file)) : null;
    if (artefact === null || !isOwn) continue;
    try {
      const module = engine.load(artefact);
      for (const one of cases) print({ kind: 'case', module: name, level, case: one.name, result: play(module, one) });
      module.close();
    } catch (error) {
      if (!isProfileMismatch(error)) throw error;
      print({ kind: 'left-out', level, why: error.message });
      isOwn = false;
    }
  }
  engine.close();
}

function compile(engine: Engine, level: string, module: string, bytes: Uint8Array): Uint8Array | null {
  const { target } = engine;
  try {
    const artefact = engine.compile(bytes);
    const sha256 = createHash('sha256').update(artefact).digest('hex');
    print({ kind: 'artefact', module, target, level, sha256, said: `${artefact.length} bytes` });
    return artefact;
  } catch (error) {
    if (!isEngineError(error)) throw error;
    print({ kind: 'artefact', module, target, level, sha256: null, said: `${error.code}: ${error.message}` });
    return null;
  }
}

type Keys = Map<string, { readonly version: number; readonly value: Uint8Array }>;

/** A host with a store of its own for each case. What it does not know it gives back, turned round; what WASI asks for gets its number alone. */
function answerOf(operation: string, payload: Uint8Array, keys: Keys): { readonly status: number; readonly bytes: Uint8Array | null } {
  if (operation.startsWith('wasi.')) return { status: operation === 'wasi.denied' ? -1 : 0, bytes: null };
  const text = Buffer.from(payload);
  if (operation === 'state_get') {
    const entry = keys.get(text.toString());
    return entry === undefined
      ? { status: -2, bytes: null }
      : { status: 0, bytes: Buffer.concat([Buffer.from(`${entry.version}\n`), entry.value]) };
  }
  if (operation === 'state_set') {
    const [first, second] = [text.indexOf(10), text.indexOf(10, text.indexOf(10) + 1)];
    if (first < 0 || second < 0) return { status: -6, bytes: null };
    const key = text.toString('utf8', 0, first);
    const expected = text.toString('utf8', first + 1, second);
    const version = keys.get(key)?.version ?? 0;
    if (expected !== '*' && expected !== String(version)) return { status: -3, bytes: null };
    keys.set(key, { version: version + 1, value: text.subarray(second + 1) });
    return { status: 0, bytes: Buffer.from(String(version + 1)) };
  }
  return { status: 0, bytes: payload.toReversed() };
}

function play(module: EngineModule, one: ConformanceCase): CaseResult {
  const guest = module.start({
    args: one.args,
    env: one.env,
    stdin: new Uint8Array(Buffer.from(one.stdin, 'base64')),
    fuelMax: one.fuelMax,
    fuelSlice: one.fuelSlice,
    memoryBytesMax: 8 << 20,
    stdoutBytesMax: 1 << 20,
    stderrBytesMax: 1 << 20,
    randomSeed: new Uint8Array(32).fill(7),
    fuelPerMicro: 1_000,
    granted: one.granted,
    entry: one.entry,
  });
  const requests: string[] = [];
  const keys: Keys = new Map();
  let answer: Parameters<typeof guest.resumeInline>[0]['answer'] = null;
  let slices = 0;
  try {
    for (;;) {
      const micros = Math.floor(guest.fuelUsed / 1_000) + requests.length * 100;
      const step = guest.resumeInline({ answer, monotonicMicros: MICROS_START + micros, civilMicros: CIVIL_START + micros });
      answer = null;
      if (step.kind === 'sliced') {
        slices += 1;
        continue;
      }
      if (step.kind === 'request') {
        requests.push(`${step.operation} ${hex(step.payload)}`);
        answer = answerOf(step.operation, step.payload, keys);
        continue;
      }
      const outcome =
        step.kind === 'returned'
          ? `returned ${step.exitCode}`
          : step.kind === 'trapped'
            ? `trapped ${step.trap}`
            : step.kind === 'limit'
              ? `limit ${step.limit}`
              : step.kind;
      return {
        outcome,
        stdout: hex(guest.stdout()),
        stderr: hex(guest.stderr()),
        requests: requests.join('; '),
        fuel: step.fuelUsed,
        slices,
        memoryBytesPeak: guest.memoryBytesPeak,
      };
    }
  } finally {
    guest.close();
  }
}
