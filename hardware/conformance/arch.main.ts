// `wasmmatrix arch`: makes what other architectures need, plays the conformance set and the simulator's catalogue on each, and says whether
// they agree. A composition root: here engines, emulators, scenarios and the comparison meet.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { execa } from 'execa';
import { buildExamples, type BuiltExample } from '../../scenarios/examples/build.ts';
import { withoutLarge } from '../../scenarios/listing.main.ts';
import { catalogueFiles, findScenario, readScenarios } from '../../sim/campaign/library.main.ts';
import { print, refuse, say } from '../../sim/campaign/teller.main.ts';
import { ISA_LEVELS } from '../../system/domain/isa.ts';
import { ARCHITECTURES, type Architecture } from '../../system/domain/node.ts';
import { describeError, failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import manifest from '../../package.json' with { type: 'json' };
import { cancelling, wordsOf } from '../debian/debian.ts';
import { missingForImage, prepareImage, type MachineImage } from '../qemu/images.ts';
import { missingEmulator, prepareForeignRuntime, type ForeignArchitecture, type ForeignOptions } from '../qemu/qemu.ts';
import { writeTree } from '../qemu/tree.ts';
import { ensureEngine, EngineBuildError } from '../wasm/build/build.ts';
import { createProgressPrinter, describeDuration } from '../wasm/build/progress.ts';
import { openEngine } from '../wasm/native/native.ts';
import { levelProfile, TARGETS } from '../wasm/node-engine.ts';
import type { ConformanceSet, PlayedLine } from './case.ts';
import {
  differenceLines,
  judge,
  junitLines,
  leftOutLines,
  notAskedLines,
  notBootedLines,
  tableLines,
  type Machine,
} from './conformance.ts';
import { playOnMachine } from './on-machine.main.ts';
import type { PlayJob } from './play.main.ts';
import { writeSet } from './set.main.ts';
import type { SimulateJob } from './simulate.main.ts';

const HERE: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };
/** As people and Debian call them. */
const ALIASES: Readonly<Record<string, Architecture>> = { x64: 'x86_64', 'x86-64': 'x86_64', amd64: 'x86_64', arm64: 'aarch64' };
const EXIT_VIOLATED = 1;
const EXIT_INTERRUPTED = 130;
/** Bound: output of one player. */
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;
const SEED = '0x1';
const PLANTS = ['nan'] as const;
/** `user` emulates a processor for one program and takes seconds; `system` a whole machine. */
const TIERS = ['user', 'system', 'both'] as const;

type ArchOptions = {
  readonly targets?: readonly Architecture[];
  readonly tier: (typeof TIERS)[number];
  readonly plant?: (typeof PLANTS)[number];
  readonly junit?: string;
  readonly prepareOnly?: true;
  /** `--no-simulator` makes it false. */
  readonly simulator: boolean;
  /** Files. */
  readonly scenarios?: readonly string[];
  readonly json?: true;
  readonly quiet?: true;
};

export function addArch(program: Command): void {
  program
    .command('arch')
    .summary('say whether this build behaves identically on every architecture')
    .description(
      'Plays a conformance set (arithmetic, floats with NaNs, vectors, memory, traps, fuel, WASI, components, generated expressions, every example module) and the scenarios of the catalogue on every architecture, at every ISA feature level, and compares results, traps, fuel and artefacts byte by byte. Architectures that this machine is not run under qemu-user or, with --tier, on emulated machines; what they need is built from Debian packages when it is first needed, and kept.',
    )
    .option('--targets <list>', `architectures, separated by commas (default: ${ARCHITECTURES.join(',')})`, collectTargets)
    .addOption(
      new Option(
        '--tier <tier>',
        'how other architectures are emulated: user, a processor for each program; system, a machine, which runs the set and compiles nothing; both',
      )
        .choices(TIERS)
        .default('user'),
    )
    .addOption(
      new Option('--scenarios <list>', 'scenarios of the catalogue, separated by commas (default: all)')
        .argParser(collectScenarios)
        .conflicts('simulator'),
    )
    .option('--no-simulator', 'leave out the scenarios of the catalogue')
    .option('--junit <file>', 'also write the verdict as JUnit XML')
    .option('--prepare-only', 'build what is needed, and compare nothing')
    .addOption(
      new Option(
        '--plant <fault>',
        'plant a fault that must be found: nan leaves NaNs of the first foreign architecture as its processor computes them',
      ).choices(PLANTS),
    )
    .option('--json', 'print the verdict, and nothing else, as JSON on stdout')
    .option('-q, --quiet', 'no progress')
    .action(async (options: ArchOptions) => {
      process.exitCode = await arch(options);
    });
}

async function arch(options: ArchOptions): Promise<number> {
  // Before minutes of work, not after them.
  if (options.junit !== undefined && !existsSync(dirname(resolve(options.junit)))) {
    const missing = { message: `The folder of ${options.junit} does not exist.`, next: 'Make it, or name another file.' };
    return refuse([describeError(rejected('WM_ARGUMENT', missing).error)]);
  }
  if (options.plant !== undefined && options.tier !== 'user') {
    const wrong = { message: 'A fault is planted in what a program compiles, and machines compile nothing.', next: 'Leave out --tier.' };
    return refuse([describeError(rejected('WM_ARGUMENT', wrong).error)]);
  }
  const startMs = performance.now();
  const targets = options.targets ?? ARCHITECTURES;
  const cancel = new AbortController();
  const interrupt = (): void => cancel.abort();
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-arch-'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    const played = await playAll(targets, { folder, signal: cancel.signal, options });
    if (cancel.signal.aborted) return EXIT_INTERRUPTED;
    if (!played.ok) return refuse([describeError(played.error)]);
    if (played.value === null) return 0;
    const { set, machines } = played.value;
    const conformance = judge(set, machines, Math.round(performance.now() - startMs));
    if (options.junit !== undefined) writeFileSync(options.junit, junitLines(conformance).join('\n'));
    if (options.json === true) print(JSON.stringify(conformance, null, 2));
    else {
      for (const line of tableLines(set, conformance)) say(line);
      for (const machine of machines)
        for (const line of machine.lines) if (line.kind === 'left-out') say(`${machine.name} did not run ${line.level}: ${line.why}`);
      for (const line of leftOutLines(machines[0])) say(line);
      for (const line of [...notAskedLines(conformance), ...notBootedLines(conformance)]) say(line);
      say('');
      for (const line of differenceLines(conformance)) say(line);
      const { compared, differences, verdict } = conformance;
      const tiers = [...new Set(machines.map(({ tier }) => tier))].join(' and ');
      const architectures = new Set(machines.map(({ architecture }) => architecture)).size;
      say(
        `${verdict}: ${architectures} architectures, ${compared} comparisons, ${differences === 0 ? 'no difference' : `${differences} differences`}; ${tiers}; ${describeDuration(conformance.wallMs)}`,
      );
    }
    return conformance.verdict === 'held' ? 0 : EXIT_VIOLATED;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    rmSync(folder, { recursive: true, force: true });
  }
}

type Context = { readonly folder: string; readonly signal: AbortSignal; readonly options: ArchOptions };
type AllPlayed = { readonly set: ConformanceSet; readonly machines: readonly [Machine, ...Machine[]] };

/** What runs code of an architecture: node, its programs, its engine. */
type Runtime = {
  readonly architecture: Architecture;
  readonly tier: string;
  readonly node: readonly [string, ...string[]];
  /** The programs of this folder, as files that this node reads. */
  readonly programs: string;
  readonly ending: string;
  readonly engine: string;
};

async function playAll(targets: readonly Architecture[], context: Context): Promise<Outcome<AllPlayed | null>> {
  const { folder, options, signal } = context;
  const own = HERE[process.arch];
  if (own === undefined)
    return rejected('WM_TARGET_TOOLS', {
      message: `This machine's architecture (${process.arch}) is none of ours.`,
      next: 'Use another machine.',
    });
  // Before minutes of work, not after them.
  for (const target of targets) {
    const foreign = target === own ? null : foreignOf(target);
    if (foreign?.ok === false) return foreign;
    const missing = foreign === null ? null : await missingFor(foreign.value, options.tier);
    if (missing !== null) return missing;
  }
  const engine = await buildEngine(context);
  if (!engine.ok) return engine;
  const programs = fileURLToPath(new URL('./', import.meta.url));
  const runtimes: Runtime[] = [
    {
      architecture: own,
      tier: 'native',
      node: [process.execPath],
      programs,
      ending: import.meta.url.slice(import.meta.url.lastIndexOf('.')),
      engine: engine.value,
    },
  ];
  const images: MachineImage[] = [];
  for (const target of targets) {
    if (target === own) continue;
    if (signal.aborted) return cancelled();
    const foreign = foreignOf(target);
    if (!foreign.ok) return foreign;
    if (options.tier !== 'system') {
      const runtime = await prepareForeign(foreign.value, context);
      if (!runtime.ok) return runtime;
      runtimes.push(runtime.value);
    }
    if (options.tier !== 'user') {
      const image = await prepareImage(foreign.value, toolsOf(context));
      if (!image.ok) return image;
      images.push(image.value);
    }
  }
  if (signal.aborted) return cancelled();
  if (options.prepareOnly === true) return ok(null);
  const examples = await buildExamples();
  const set = writeSet(openEngine(engine.value), examples, join(folder, 'set'));
  mkdirSync(join(folder, 'artefacts'));
  const [reference, ...others] = runtimes as [Runtime, ...Runtime[]];
  // The reference's artefacts are what the others run; after it they go side by side.
  const first = await play(reference, others.length === 0, true, examples, context);
  if (!first.ok) return first;
  const programsPlayed = await Promise.all(others.map((runtime, i) => play(runtime, i === 0, false, examples, context)));
  const machinesPlayed = await Promise.all(
    images.map(async (image) => {
      const played = await playOnMachine({ image, folder, signal });
      if (played.ok) tell(options, `${played.value.name}: the conformance set was played`);
      return played;
    }),
  );
  const rest = [...programsPlayed, ...machinesPlayed];
  const machines: Machine[] = [first.value];
  for (const machine of rest) {
    if (!machine.ok) return machine;
    machines.push(machine.value);
  }
  return signal.aborted ? cancelled() : ok({ set, machines: machines as [Machine, ...Machine[]] });
}

async function buildEngine({ options: { quiet }, signal }: Context): Promise<Outcome<string>> {
  try {
    return ok(await ensureEngine({ signal, ...(quiet === true ? {} : { onProgress: createProgressPrinter(process.stderr) }) }));
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    return failed('WM_ENGINE_BUILD', { message: error.message, next: 'Correct what it names, and repeat.' });
  }
}

async function missingFor(architecture: ForeignArchitecture, tier: ArchOptions['tier']): Promise<Outcome<never> | null> {
  const missing = tier === 'system' ? null : await missingEmulator(architecture);
  return missing ?? (tier === 'user' ? null : await missingForImage(architecture, false));
}

function foreignOf(architecture: Architecture): Outcome<ForeignArchitecture> {
  if (architecture !== 'x86_64') return ok(architecture);
  return rejected('WM_TARGET_TOOLS', {
    message: 'x86_64 is not emulated here.',
    next: 'Play this on an x86-64 machine, or leave it out with --targets.',
  });
}

function toolsOf({ signal, options }: Context): ForeignOptions {
  return {
    say: (line) => tell(options, line),
    signal,
    ...(options.quiet === true ? {} : { onProgress: createProgressPrinter(process.stderr) }),
  };
}

async function prepareForeign(architecture: ForeignArchitecture, context: Context): Promise<Outcome<Runtime>> {
  const { folder, signal } = context;
  const runtime = await prepareForeignRuntime(architecture, toolsOf(context));
  if (!runtime.ok) return runtime;
  const tree = join(folder, 'tree');
  try {
    // Debian's Node.js does not strip types.
    mkdirSync(tree);
    await writeTree(tree, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST'))
      return failed('WM_CONFORMANCE', {
        message: `The programs could not be written for another Node.js: ${wordsOf(error)}.`,
        next: 'Make room, or repeat.',
      });
  }
  const { node, engine, suite } = runtime.value;
  return ok({
    architecture,
    tier: `qemu-user, Debian ${suite}`,
    node,
    programs: join(tree, 'hardware/conformance/'),
    ending: '.js',
    engine,
  });
}

/** `planted`: this one plays with the fault that must be found. */
async function play(
  runtime: Runtime,
  planted: boolean,
  isReference: boolean,
  examples: ReadonlyMap<string, BuiltExample>,
  { folder, signal, options }: Context,
): Promise<Outcome<Machine>> {
  const { architecture, tier } = runtime;
  const faulty = planted && options.plant === 'nan';
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
  if (faulty && isReference)
    return rejected('WM_ARGUMENT', {
      message: 'A fault is planted in another architecture than the reference.',
      next: 'Name at least two targets.',
    });
  const cases = await run(runtime, 'play.main', job, { folder, signal });
  if (!cases.ok) return cases;
  tell(options, `${architecture}: the conformance set was played`);
  // With nobody to be compared with, a run of the simulator says nothing.
  const asked = options.scenarios ?? [];
  const chosen =
    options.simulator && options.tier !== 'system'
      ? withoutLarge(readScenarios(options.scenarios ?? catalogueFiles()).scenarios, asked, undefined)
      : [];
  const expected = {
    levels: ISA_LEVELS[architecture].map(({ name }) => name),
    programs: chosen.length > 0 ? 2 : 1,
    mayLack: isReference,
    compiles: true,
    runs: chosen.map(({ name }) => ({ scenario: name, seed: SEED })),
  };
  if (chosen.length === 0) return ok({ name: architecture, architecture, tier, expected, lines: cases.value });
  const runs: SimulateJob = {
    settings: {
      engine: runtime.engine,
      examples: [...examples].map(
        ([
          name,
          {
            wasmPath,
            manifest: { capabilities, limits },
          },
        ]) => ({ name, file: wasmPath, capabilities, limits }),
      ),
      version: manifest.version,
      stopWhenBroken: true,
    },
    runs: chosen.map((scenario) => ({ scenario, seed: SEED })),
  };
  const simulated = await run(runtime, 'simulate.main', runs, { folder, signal });
  if (!simulated.ok) return simulated;
  tell(options, `${architecture}: ${runs.runs.length} scenarios were played in the simulator`);
  return ok({ name: architecture, architecture, tier, expected, lines: [...cases.value, ...simulated.value] });
}

async function run(
  { node: [program, ...args], programs, ending, architecture }: Runtime,
  name: string,
  job: PlayJob | SimulateJob,
  { folder, signal }: Pick<Context, 'folder' | 'signal'>,
): Promise<Outcome<readonly PlayedLine[]>> {
  const file = join(folder, `${name}-${architecture}.json`);
  writeFileSync(file, JSON.stringify(job));
  try {
    const { stdout } = await execa(program, [...args, `${programs}${name}${ending}`, file], {
      ...cancelling(signal),
      stdin: 'ignore',
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return ok(stdout.split('\n').map((line) => JSON.parse(line) as PlayedLine));
  } catch (error) {
    if (signal.aborted) return cancelled();
    return failed('WM_CONFORMANCE', {
      message: `${name} did not come to its end on ${architecture}: ${wordsOf(error)}`,
      next: 'Read what it said; a machine with too little memory is the usual cause.',
    });
  }
}

function cancelled(): Outcome<never> {
  return rejected('WM_CANCELLED', { message: 'The comparison was stopped by the user.', next: 'Start it again; what was built is kept.' });
}

function tell({ quiet }: ArchOptions, line: string): void {
  if (quiet !== true) process.stderr.write(`${line}\n`);
}

function collectTargets(text: string): readonly Architecture[] {
  const targets = text.split(',').map((name) => ALIASES[name] ?? ARCHITECTURES.find((architecture) => architecture === name));
  if (targets.every((target) => target !== undefined)) return [...new Set(targets)];
  throw new InvalidArgumentError(`Give some of ${ARCHITECTURES.join(', ')}, separated by commas.`);
}

function collectScenarios(text: string): readonly string[] {
  return text.split(',').map((name) => {
    const found = findScenario(name);
    if (found.ok) return found.value;
    throw new InvalidArgumentError(found.error.message);
  });
}
