// `wasmmatrix arch`: makes what other architectures need, plays the conformance set and scenarios of the simulator on each, and says
// whether they agree. A composition root: here engines, emulators, scenarios and the comparison meet.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { coverOf } from '../../scenarios/cover.ts';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { withoutLarge } from '../../scenarios/listing.main.ts';
import { catalogueFiles, findScenario, readScenarios } from '../../sim/campaign/library.main.ts';
import { print, refuse, say } from '../../sim/campaign/teller.main.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { ARCHITECTURES, type Architecture } from '../../system/domain/node.ts';
import { describeError, failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { wordsOf } from '../debian/debian.ts';
import { missingForImage, prepareImage, prepareKernel, type MachineImage } from '../qemu/images.ts';
import {
  missingEmulator,
  prepareForeignRuntime,
  prepareForeignTools,
  type ForeignArchitecture,
  type ForeignOptions,
} from '../qemu/qemu.ts';
import { writeTree } from '../qemu/tree.ts';
import { ensureEngine, EngineBuildError } from '../wasm/build/build.ts';
import { createProgressPrinter, describeDuration } from '../wasm/build/progress.ts';
import { openEngine } from '../wasm/native/native.ts';
import type { ConformanceSet } from './case.ts';

import {
  differenceLines,
  failedLines,
  judge,
  junitLines,
  leftOutLines,
  notAskedLines,
  notBootedLines,
  tableLines,
  unplayedLines,
  type Machine,
} from './conformance.ts';
import { machineName, playOnMachine } from './on-machine.main.ts';
import { playSet, programName, simulate, stopped, type Playing, type Runtime } from './on-program.main.ts';
import { playParts, type FailedPart, type Part } from './parts.ts';
import { writeSet } from './set.main.ts';

const HERE: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };
/** As people and Debian call them. */
const ALIASES: Readonly<Record<string, Architecture>> = { x64: 'x86_64', 'x86-64': 'x86_64', amd64: 'x86_64', arm64: 'aarch64' };
const EXIT_VIOLATED = 1;
const EXIT_INTERRUPTED = 130;
const PLANTS = ['nan'] as const;
/** `user` emulates a processor for one program and takes seconds; `system` a whole machine. */
const TIERS = ['user', 'system', 'both'] as const;
type Tier = (typeof TIERS)[number];
const ALL = 'all';

type ArchOptions = {
  readonly targets?: readonly Architecture[];
  /** None: both where machines can be made here, otherwise `user`. */
  readonly tier?: Tier;
  readonly plant?: (typeof PLANTS)[number];
  readonly junit?: string;
  readonly prepareOnly?: true;
  /** `--no-simulator` makes it false. */
  readonly simulator: boolean;
  /** Files, or the whole catalogue. None: a choice of it. */
  readonly scenarios?: readonly string[] | typeof ALL;
  readonly json?: true;
  readonly quiet?: true;
};

export function addArch(program: Command): void {
  program
    .command('arch')
    .summary('say whether this build behaves identically on every architecture')
    .description(
      'Plays a conformance set (arithmetic, floats with NaNs, vectors, memory, traps, fuel, WASI, components, generated expressions, every example module) and scenarios of the catalogue on every architecture, at every ISA feature level, and compares results, traps, fuel and artefacts byte by byte. Architectures that this machine is not run under qemu-user and, for the conformance set, on emulated machines; what they need is built from Debian packages when it is first needed, and kept.',
    )
    .option('--targets <list>', `architectures, separated by commas (default: ${ARCHITECTURES.join(',')})`, collectTargets)
    .addOption(
      new Option(
        '--tier <tier>',
        'how other architectures are emulated: user, a processor for each program; system, a machine, which runs the set and compiles nothing; both (default: both where QEMU for machines is here, otherwise user)',
      ).choices(TIERS),
    )
    .addOption(
      new Option(
        '--scenarios <list>',
        'scenarios of the catalogue, separated by commas, or all (default: a choice with every kind of fault, command, guest, law and load)',
      )
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
  if (options.plant !== undefined && options.tier !== undefined && options.tier !== 'user') {
    const wrong = { message: 'A fault is planted in what a program compiles, and machines compile nothing.', next: 'Leave out --tier.' };
    return refuse([describeError(rejected('WM_ARGUMENT', wrong).error)]);
  }
  if (options.tier === 'system' && options.scenarios !== undefined) {
    const wrong = { message: 'Machines play no scenarios.', next: 'Leave out --scenarios, or take --tier both.' };
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
    const { set, machines, failed, unplayed } = played.value;
    const conformance = judge(set, machines, { failed, unplayed, wallMs: Math.round(performance.now() - startMs) });
    if (options.junit !== undefined) writeFileSync(options.junit, junitLines(conformance).join('\n'));
    if (options.json === true) print(JSON.stringify(conformance, null, 2));
    else {
      for (const line of tableLines(set, conformance)) say(line);
      for (const machine of machines)
        for (const line of machine.lines) if (line.kind === 'left-out') say(`${machine.name} did not run ${line.level}: ${line.why}`);
      for (const line of leftOutLines(machines[0])) say(line);
      for (const line of [...notAskedLines(conformance), ...notBootedLines(conformance), ...unplayedLines(conformance)]) say(line);
      say('');
      for (const line of [...differenceLines(conformance), ...failedLines(conformance)]) say(line);
      const { compared, differences, verdict } = conformance;
      const tiers = [...new Set(machines.map(({ tier }) => tier))].join(', ');
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
type AllPlayed = {
  readonly set: ConformanceSet;
  readonly machines: readonly [Machine, ...Machine[]];
  readonly failed: readonly FailedPart[];
  /** Scenarios of the catalogue that were left out, as nobody named any. */
  readonly unplayed: readonly string[];
};

async function playAll(targets: readonly Architecture[], context: Context): Promise<Outcome<AllPlayed | null>> {
  const { options } = context;
  const own = HERE[process.arch];
  if (own === undefined)
    return rejected('WM_TARGET_TOOLS', {
      message: `This machine's architecture (${process.arch}) is none of ours.`,
      next: 'Use another machine.',
    });
  // Before minutes of work, not after them.
  const foreigns: ForeignArchitecture[] = [];
  for (const target of targets) {
    if (target === own) continue;
    const foreign = foreignOf(target);
    if (!foreign.ok) return foreign;
    foreigns.push(foreign.value);
  }
  if (options.plant !== undefined && foreigns.length === 0)
    return rejected('WM_ARGUMENT', {
      message: 'A fault is planted in another architecture than the reference.',
      next: 'Name at least two targets.',
    });
  const tier = options.tier ?? (await tierOf(foreigns, options));
  const chosen = chooseScenarios(tier, options);
  if (!chosen.ok) return chosen;
  for (const foreign of foreigns) {
    const missing = await missingFor(foreign, tier);
    if (missing !== null) return missing;
  }
  const made = await prepareAll(own, foreigns, tier, context);
  if (!made.ok) return made;
  return options.prepareOnly === true ? ok(null) : compareAll(made.value, chosen.value, context);
}

/** What the comparison is played on. The first runtime is this machine's own, which is the reference. */
type Prepared = { readonly runtimes: readonly [Runtime, ...Runtime[]]; readonly images: readonly MachineImage[] };

async function prepareAll(
  own: Architecture,
  foreigns: readonly ForeignArchitecture[],
  tier: Tier,
  context: Context,
): Promise<Outcome<Prepared>> {
  const { options, signal } = context;
  // Building keeps the processor busy and fetching the line: side by side they take two minutes less.
  const [engine, fetched] = await Promise.all([buildEngine(context), fetchAhead(foreigns, tier, toolsOf(context))]);
  if (!engine.ok) return engine;
  if (!fetched.ok) return fetched;
  const runtimes: [Runtime, ...Runtime[]] = [
    {
      architecture: own,
      tier: 'native',
      node: [process.execPath],
      programs: fileURLToPath(new URL('./', import.meta.url)),
      ending: import.meta.url.slice(import.meta.url.lastIndexOf('.')),
      engine: engine.value,
    },
  ];
  const images: MachineImage[] = [];
  for (const foreign of foreigns) {
    if (signal.aborted) return stopped();
    if (tier !== 'system') {
      const runtime = await prepareForeign(foreign, context);
      if (!runtime.ok) return runtime;
      runtimes.push(runtime.value);
    }
    if (tier !== 'user') {
      const image = await prepareImage(foreign, toolsOf(context));
      if (image.ok) images.push(image.value);
      else if (options.tier !== undefined || signal.aborted) return image;
      // Nobody asked for machines: the verdict says that none was booted.
      else tell(options, describeError(image.error));
    }
  }
  return signal.aborted ? stopped() : ok({ runtimes, images });
}

/** Whatever Debian has to give for these architectures; what has been made of it is asked for again when it is needed. */
async function fetchAhead(foreigns: readonly ForeignArchitecture[], tier: Tier, tools: ForeignOptions): Promise<Outcome<void>> {
  for (const foreign of foreigns) {
    const made = await prepareForeignTools(foreign, tools);
    if (!made.ok) return made;
    // Where nobody asked for machines, what is missing for them is told when they would be made.
    if (tier !== 'user') await prepareKernel(foreign, tools);
  }
  return ok();
}

async function compareAll(
  { runtimes: [reference, ...others], images }: Prepared,
  { scenarios, unplayed }: Chosen,
  { folder, options, signal }: Context,
): Promise<Outcome<AllPlayed>> {
  const playing: Playing = { folder, signal, tell: (line) => tell(options, line) };
  const examples = await buildExamples();
  const set = writeSet(openEngine(reference.engine), examples, join(folder, 'set'));
  mkdirSync(join(folder, 'artefacts'));
  const program = (runtime: Runtime, set: (playing: Playing) => Promise<Outcome<Machine>>): Part => ({
    ...programName(runtime),
    play: async (either) => {
      const one = await set({ ...playing, signal: either });
      return one.ok ? simulate(runtime, one.value, scenarios, examples, { ...playing, signal: either }) : one;
    },
  });
  const machine = (image: MachineImage): Part => ({
    ...machineName(image),
    play: async (either) => {
      const one = await playOnMachine({ image, folder, signal: either });
      if (one.ok) playing.tell(`${one.value.name}: the conformance set was played`);
      return one;
    },
  });
  // The reference's artefacts are what the others run; after it they go side by side.
  const first = await playSet(reference, { faulty: false, isReference: true }, playing);
  if (!first.ok) return first;
  const played = await playParts(
    program(reference, async () => first),
    [
      ...others.map((runtime, i) => {
        const faulty = options.plant === 'nan' && i === 0;
        return program(runtime, (either) => playSet(runtime, { faulty, isReference: false }, either));
      }),
      ...images.map(machine),
    ],
    { signal, tell: ({ name, error }) => tell(options, `${name} failed: ${describeError(error)}`) },
  );
  return played.ok ? ok({ set, ...played.value, unplayed }) : played;
}

/** Whole machines as well, where they can be made and no fault is planted, which is done in what a program compiles. */
async function tierOf(foreigns: readonly ForeignArchitecture[], { plant }: ArchOptions): Promise<Tier> {
  if (plant !== undefined) return 'user';
  const missing = await Promise.all(foreigns.map((foreign) => missingForImage(foreign, false)));
  return missing.every((one) => one === null) ? 'both' : 'user';
}

type Chosen = { readonly scenarios: readonly Scenario[]; readonly unplayed: readonly string[] };

/** With nobody to be compared with, a run of the simulator says nothing. WM_SCENARIO_INVALID. */
function chooseScenarios(tier: Tier, { simulator, scenarios }: ArchOptions): Outcome<Chosen> {
  if (!simulator || tier === 'system') return ok({ scenarios: [], unplayed: [] });
  const asked = scenarios === undefined || scenarios === ALL ? catalogueFiles() : scenarios;
  const { scenarios: read, errors } = readScenarios(asked);
  const [error] = errors;
  if (error !== undefined) return { ok: false, error };
  if (scenarios !== undefined && scenarios !== ALL) return ok({ scenarios: read, unplayed: [] });
  const catalogue = withoutLarge(read, [], undefined);
  const chosen = scenarios === ALL ? catalogue : coverOf(catalogue);
  return ok({ scenarios: chosen, unplayed: catalogue.filter((one) => !chosen.includes(one)).map(({ name }) => name) });
}

async function buildEngine({ options: { quiet }, signal }: Context): Promise<Outcome<string>> {
  try {
    return ok(await ensureEngine({ signal, ...(quiet === true ? {} : { onProgress: createProgressPrinter(process.stderr) }) }));
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    return failed('WM_ENGINE_BUILD', { message: error.message, next: 'Correct what it names, and repeat.' });
  }
}

async function missingFor(architecture: ForeignArchitecture, tier: Tier): Promise<Outcome<never> | null> {
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
    tier: `qemu-user (Debian ${suite})`,
    node,
    programs: join(tree, 'hardware/conformance/'),
    ending: '.js',
    engine,
  });
}

function tell({ quiet }: ArchOptions, line: string): void {
  // On a terminal the progress of a build may stand in this line.
  const begin = process.stderr.isTTY ? '\r\u001B[2K' : '';
  if (quiet !== true) process.stderr.write(`${begin}${line}\n`);
}

function collectTargets(text: string): readonly Architecture[] {
  const targets = text.split(',').map((name) => ALIASES[name] ?? ARCHITECTURES.find((architecture) => architecture === name));
  if (targets.every((target) => target !== undefined)) return [...new Set(targets)];
  throw new InvalidArgumentError(`Give some of ${ARCHITECTURES.join(', ')}, separated by commas.`);
}

function collectScenarios(text: string): readonly string[] | typeof ALL {
  if (text === ALL) return ALL;
  return text.split(',').map((name) => {
    const found = findScenario(name);
    if (found.ok) return found.value;
    throw new InvalidArgumentError(found.error.message);
  });
}
