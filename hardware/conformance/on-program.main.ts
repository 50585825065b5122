// The conformance set, and scenarios in the simulator, played by programs: on this machine's own processor, or on one that qemu-user
// emulates for them. Owns what such a program is told and how its lines come back; what it must do is decided elsewhere.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { BuiltExample } from '../../scenarios/examples/build.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { ISA_LEVELS } from '../../system/domain/isa.ts';
import { ARCHITECTURES, type Architecture } from '../../system/domain/node.ts';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import manifest from '../../package.json' with { type: 'json' };
import { cancelling, wordsOf } from '../debian/debian.ts';
import { levelProfile, TARGETS } from '../wasm/node-engine.ts';
import type { PlayedLine } from './case.ts';
import type { Machine } from './conformance.ts';
import type { PlayJob } from './play.main.ts';
import type { SimulateJob } from './simulate.main.ts';

/** Bound: output of one player. */
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;
const SEED = '0x1';
const NEWLINE = 10;
/** Emulated scenarios take minutes: how far they are is said so often. */
const TOLD_EVERY_MS = 20_000;

/** What runs code of an architecture: node, its programs, its engine. */
export type Runtime = {
  readonly architecture: Architecture;
  readonly tier: string;
  readonly node: readonly [string, ...string[]];
  /** The programs of this folder, as files that this node reads. */
  readonly programs: string;
  readonly ending: string;
  readonly engine: string;
};

export type Playing = {
  /** Of the comparison: set, artefacts, and what each program is told. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
};

export function programName({ architecture, tier }: Runtime): Pick<Machine, 'name' | 'architecture' | 'tier'> {
  return { name: architecture, architecture, tier };
}

/** `faulty`: NaNs stay as the processor computes them. WM_CONFORMANCE, WM_CANCELLED. */
export async function playSet(
  runtime: Runtime,
  { faulty, isReference }: { readonly faulty: boolean; readonly isReference: boolean },
  { folder, signal, tell }: Playing,
): Promise<Outcome<Machine>> {
  const { architecture } = runtime;
  const job: PlayJob = {
    engine: runtime.engine,
    set: join(folder, 'set'),
    levels: ARCHITECTURES.flatMap((one) =>
      ISA_LEVELS[one].map((level) => {
        const profile = levelProfile(TARGETS[one], level);
        return { level: level.name, profile: faulty && one === architecture ? { ...profile, canonicalNans: false } : profile };
      }),
    ),
    artefacts: { folder: join(folder, 'artefacts'), read: !isReference && !faulty },
    compiles: true,
  };
  const cases = await run(runtime, 'play.main', job, { folder, signal });
  if (!cases.ok) return cases;
  tell(`${architecture}: the conformance set was played`);
  const levels = ISA_LEVELS[architecture].map(({ name }) => name);
  const expected = { levels, programs: 1, mayLack: isReference, compiles: true, runs: [] };
  return ok({ ...programName(runtime), expected, lines: cases.value });
}

/** What a machine that played the set makes of the scenarios as well. WM_CONFORMANCE, WM_CANCELLED. */
export async function simulate(
  runtime: Runtime,
  machine: Machine,
  chosen: readonly Scenario[],
  examples: ReadonlyMap<string, BuiltExample>,
  { folder, signal, tell }: Playing,
): Promise<Outcome<Machine>> {
  if (chosen.length === 0) return ok(machine);
  const { architecture, engine } = runtime;
  const job: SimulateJob = {
    settings: {
      engine,
      examples: [...examples].map(
        ([
          name,
          {
            wasmPath: file,
            manifest: { capabilities, limits },
          },
        ]) => ({ name, file, capabilities, limits }),
      ),
      version: manifest.version,
      stopWhenBroken: true,
    },
    runs: chosen.map((scenario) => ({ scenario, seed: SEED })),
  };
  let saidMs = performance.now();
  const onLine = (lines: number): void => {
    if (performance.now() - saidMs < TOLD_EVERY_MS || lines >= chosen.length) return;
    saidMs = performance.now();
    tell(`${architecture}: ${lines} of ${chosen.length} scenarios`);
  };
  const simulated = await run(runtime, 'simulate.main', job, { folder, signal, onLine });
  if (!simulated.ok) return simulated;
  tell(`${architecture}: ${chosen.length} scenarios were played in the simulator`);
  const runs = chosen.map(({ name }) => ({ scenario: name, seed: SEED }));
  return ok({ ...machine, expected: { ...machine.expected, programs: 2, runs }, lines: [...machine.lines, ...simulated.value] });
}

async function run(
  { node: [program, ...args], programs, ending, architecture }: Runtime,
  name: string,
  job: PlayJob | SimulateJob,
  { folder, signal, onLine }: Pick<Playing, 'folder' | 'signal'> & { readonly onLine?: (lines: number) => void },
): Promise<Outcome<readonly PlayedLine[]>> {
  const file = join(folder, `${name}-${architecture}.json`);
  writeFileSync(file, JSON.stringify(job));
  try {
    const player = execa(program, [...args, `${programs}${name}${ending}`, file], {
      ...cancelling(signal),
      stdin: 'ignore',
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    let lines = 0;
    player.stdout.on('data', (bytes: Buffer) => {
      for (const byte of bytes) if (byte === NEWLINE) lines += 1;
      onLine?.(lines);
    });
    const { stdout } = await player;
    return ok(stdout.split('\n').map((line) => JSON.parse(line) as PlayedLine));
  } catch (error) {
    if (signal.aborted) return stopped();
    return failed('WM_CONFORMANCE', {
      message: `${name} did not come to its end on ${architecture}: ${wordsOf(error)}`,
      next: 'Read what it said; a machine with too little memory is the usual cause.',
    });
  }
}

/** What a comparison that was ended comes to. */
export function stopped(): Outcome<never> {
  return rejected('WM_CANCELLED', { message: 'The comparison was stopped by the user.', next: 'Start it again; what was built is kept.' });
}
