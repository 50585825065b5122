// The verbs of the simulator. `run` plays scenarios in worker threads, tells what held, and writes the record and reports.
// A composition root: it may import anything, and decides nothing that a scenario or a goal should decide.
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { PACE_MAX } from '../hardware/local/local.ts';
import type { Device } from '../hardware/devices/devices.ts';
import type { Offer } from '../hardware/local/cast.main.ts';
import { playLocally, type Emulation } from '../hardware/local/play.main.ts';
import { exitCodeOf } from '../reports/summarise.ts';
import { listScenarios, selectScenarios, withoutLarge } from '../scenarios/listing.main.ts';
import { sometimesOf } from '../reports/sometimes.ts';
import { suiteLines } from '../reports/reporters/terminal.ts';
import { writeReports } from '../reports/write.main.ts';
import type { RunSummary, SuiteSummary } from '../scenarios/record.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { describeError, rejected, type WmError } from '../system/domain/outcome.ts';
import { count } from './campaign/arguments.main.ts';
import { runCampaign, type PlayJob, type PlayOptions } from './campaign/campaign.ts';
import { summaryOf } from './campaign/player.ts';
import { allNames, describePath, isInCatalogue, quotePath } from './campaign/library.main.ts';
import { diskFull, isDiskFull, openOutput, REPORT_FILES, type Output } from './campaign/output.main.ts';
import { prepare, prepareDevices, prepareMachines } from './campaign/prepare.main.ts';
import { commitOf } from './campaign/remote/build.ts';
import { addNatsOptions, jobsElsewhere, openRemote, serversTrouble, type NatsFlags } from './campaign/remote/nats.main.ts';
import { shrinkFirst } from './campaign/shrink.main.ts';
import type { ScenarioSettings } from './campaign/scenario.main.ts';
import {
  createTeller,
  EXIT_INTERRUPTED,
  EXIT_REJECTED,
  INTERRUPTS,
  onInterrupt,
  paint,
  print,
  refuse,
  say,
  type Teller,
} from './campaign/teller.main.ts';
import { canonicalSeed } from './kernel/kernel.ts';

const PLAYER = new URL('./campaign/scenario.main.ts', import.meta.url);
const SEEDS = 3;
/** Where a run takes its own time, one is played unless more are asked for. */
const SEEDS_LOCAL = 1;
/** Bound: seeds of one call. */
const SEEDS_MAX = 100_000;
/** Bound: events told in the terminal for one failure; run.jsonl has them all. */
const EVENTS_TOLD_MAX = 12;

const WORLDS = ['sim', 'local', 'qemu', 'devices', 'loop'] as const;
type World = (typeof WORLDS)[number];
/** What `both` stands for. */
const BOTH: readonly World[] = ['sim', 'local'];
/** Where `devices` looks too. */
const INVENTORY = 'devices.yaml';
const MACHINES = 2;
/** Bound: emulated machines of one run, each with half a gigabyte. */
const MACHINES_MAX = 8;
/** Nodes of a run with hardware in the loop that are processes. */
const PROCESSES = 2;
/** Bound: such processes; as many emulated machines and a controller come on top. */
const PROCESSES_MAX = 16;

type RunOptions = NatsFlags & {
  readonly target?: readonly World[];
  readonly seed?: readonly string[];
  readonly seeds?: number;
  readonly filter?: string;
  readonly jobs?: number;
  readonly pace?: number;
  readonly machines?: number;
  readonly inventory?: string;
  readonly processes?: number;
  readonly out?: string;
  readonly verify?: true;
  readonly permute?: true;
  readonly requireSometimes?: true;
  readonly shrink?: true;
  readonly list?: true;
  readonly json?: true;
  readonly digests?: true;
  readonly quiet?: true;
};

export function addRun(program: Command): void {
  const command = program
    .command('run')
    .summary('play scenarios and say what held')
    .description(
      'Plays scenarios in the deterministic simulator: the real controller and the real agents, real guests, virtual time; or, with --target local, qemu, devices or loop, on real processes, emulated machines and physical devices with real faults. Without a name it plays the whole catalogue but for the scenarios with the tag `large`. Says what held, and for what did not: the goal, the last events, and the command that reproduces it.',
    )
    .argument('[scenario...]', 'names in the catalogue, or paths of .scenario.yaml files')
    .option(
      '--target <worlds>',
      'where to play: sim, local, qemu (arm64 and riscv64 machines beside processes), devices (those of an inventory beside processes), loop (simulated nodes beside both, under one real controller), several with commas; both is sim,local (default: sim)',
      collectWorlds,
    )
    .addOption(
      new Option('--seed <seed>', 'play this seed: 0x… or a number, or `random`; may be repeated')
        .argParser(collectSeed)
        .conflicts('seeds'),
    )
    .option('--seeds <n>', `play this many seeds, from 0x1 (default: ${SEEDS}; ${SEEDS_LOCAL} elsewhere than in sim)`, count(SEEDS_MAX))
    .option('--filter <text>', 'only scenarios whose name, tag or requirement contains this')
    .option('--jobs <n>', 'worker threads (default: as many as processors)', count(256))
    .option('--pace <factor>', 'seconds of the wall for one second of a local run (default: what this machine needs, measured)', pace)
    .option(
      '--machines <n>',
      `nodes of a qemu or loop run that are emulated machines; 0 is for loop alone (default: ${MACHINES})`,
      count(MACHINES_MAX, 0),
    )
    .option(
      '--inventory <file>',
      'the inventory of physical devices, as `wasmmatrix devices` takes it, for devices (default: devices.yaml) or loop (default: none)',
    )
    .option(
      '--processes <n>',
      `nodes of a loop run that are processes; what is neither machine nor process is simulated (default: ${PROCESSES})`,
      count(PROCESSES_MAX, 0),
    )
    .option('--out <folder>', 'where the reports go (default: reports/out/<time>)')
    .option('--verify', 'play every seed twice and name the first difference')
    .option('--permute', 'draw the order of what happens at the same instant on different machines from the seed too')
    .option('--require-sometimes', 'end with 1 when something that has to happen in some run happened in none')
    .option('--list', 'list the scenarios and play none')
    .option(
      '--shrink',
      'make the first failure in the simulator as small as it gets, for at most 2 minutes: smallest.scenario.yaml beside the report',
    )
    .option('--json', 'print the summary, and nothing else, as JSON on stdout')
    .option('--digests', 'print the digest of each run')
    .option('-q, --quiet', 'no progress');
  addNatsOptions(command, 'play on the machines where `wasmmatrix worker` runs with the same servers').action(
    async (names: readonly string[], options: RunOptions) => {
      process.exitCode = await run(names, options);
    },
  );
}

async function run(names: readonly string[], options: RunOptions): Promise<number> {
  const selected = selectScenarios(options.list === true && names.length === 0 ? allNames() : names, options.filter);
  if ('errors' in selected) return refuse(selected.errors.map(describeError));
  const scenarios = withoutLarge(selected.scenarios, names, options.filter);
  const worlds = options.target ?? ['sim'];
  const lacking = lackingOf(worlds, options);
  if (lacking !== null) return refuse([describeError(lacking)]);
  if (options.list === true) return listScenarios(selected.scenarios, options.json === true);
  const seeds =
    options.seed ?? Array.from({ length: options.seeds ?? (isReal(worlds) ? SEEDS_LOCAL : SEEDS) }, (_, i) => `0x${(i + 1).toString(16)}`);
  const servers = options.nats === undefined ? null : await serversTrouble(options);
  if (servers !== null) return refuse([describeError(servers)]);
  // Before anything is built: who names a folder that cannot be written should not wait for that.
  const output = openOutput(options.out ?? join('reports', 'out', new Date().toISOString().replaceAll(/[:.]/g, '-')));
  if (!output.ok) return refuse([describeError(output.error)]);
  try {
    const leave = (): void => process.exit(EXIT_INTERRUPTED);
    for (const signal of INTERRUPTS) process.on(signal, leave);
    const settings = await prepare(options.quiet === true);
    const machinesMax = worlds.some(hasMachines) ? (options.machines ?? MACHINES) : 0;
    const emulation = settings === null ? null : await prepareMachines(scenarios, machinesMax, options.quiet === true);
    const inventory = inventoryOf(worlds, options);
    for (const signal of INTERRUPTS) process.off(signal, leave);
    const devices =
      emulation === null || inventory === null
        ? null
        : await prepareDevices(scenarios, inventory, offersOf(worlds, machinesMax, options), options.quiet === true);
    if (settings === null || emulation === null || (inventory !== null && devices === null)) return EXIT_REJECTED;
    return await playAll({ scenarios, worlds, seeds, settings, emulation, devices, output: output.value, options });
  } finally {
    output.value.close();
  }
}

function isReal(worlds: readonly World[]): boolean {
  return worlds.some((world) => world !== 'sim');
}

function hasMachines(world: World): boolean {
  return world === 'qemu' || world === 'loop';
}

function hasDevices(world: World): boolean {
  return world === 'devices' || world === 'loop';
}

/** What each world that has devices offers beside them. */
function offersOf(worlds: readonly World[], machinesMax: number, { processes }: RunOptions): readonly Omit<Offer, 'devices'>[] {
  return worlds.flatMap((world) => {
    if (world !== 'devices' && world !== 'loop') return [];
    return [
      world === 'loop' ? { world, machinesMax, processesMax: processes ?? PROCESSES } : { world, machinesMax: 0, processesMax: null },
    ];
  });
}

/** Null: no device takes part. */
function inventoryOf(worlds: readonly World[], { inventory }: RunOptions): string | null {
  return inventory ?? (worlds.includes('devices') ? INVENTORY : null);
}

/** What a world cannot do; null when nothing of it was asked for. */
function lackingOf(worlds: readonly World[], options: RunOptions): WmError | null {
  if (options.machines !== undefined && !worlds.some(hasMachines))
    return rejected('WM_ARGUMENT', {
      message: '--machines is for emulated machines alone.',
      next: 'Leave --machines out, or play with --target qemu or loop.',
    }).error;
  if (options.machines === 0 && worlds.includes('qemu'))
    return rejected('WM_ARGUMENT', {
      message: 'A qemu run without emulated machines is a local one.',
      next: 'Play with --target local, or with more machines.',
    }).error;
  if (options.inventory !== undefined && !worlds.includes('devices') && !worlds.includes('loop'))
    return rejected('WM_ARGUMENT', {
      message: '--inventory is for physical devices alone.',
      next: 'Leave --inventory out, or play with --target devices or loop.',
    }).error;
  if (options.processes !== undefined && !worlds.includes('loop'))
    return rejected('WM_ARGUMENT', {
      message: '--processes is for runs with hardware in the loop alone.',
      next: 'Leave --processes out, or play with --target loop.',
    }).error;
  if (options.nats !== undefined && options.jobs !== undefined) return jobsElsewhere();
  if (!isReal(worlds)) {
    if (options.pace === undefined) return null;
    return rejected('WM_ARGUMENT', {
      message: '--pace is for real processes alone: the simulator has a time of its own.',
      next: 'Leave --pace out, or play with --target local.',
    }).error;
  }
  const lacking = (flag: string, why: string): WmError =>
    rejected('WM_ARGUMENT', {
      message: `${flag} is for the simulator alone: ${why}.`,
      next: `Leave ${flag} out, or play with --target sim.`,
    }).error;
  if (options.nats !== undefined) return lacking('--nats', 'workers elsewhere have no processes of this machine');
  if (options.verify === true) return lacking('--verify', 'real processes never play the same run twice');
  if (options.permute === true) return lacking('--permute', 'what real processes do at one instant has no order that can be drawn');
  if (options.digests === true) return lacking('--digests', 'a run of real processes has no digest');
  if ((options.jobs ?? 1) > 1) return lacking('--jobs', 'one fleet of processes at a time keeps this machine busy');
  return null;
}

type Campaign = {
  readonly scenarios: readonly Scenario[];
  readonly worlds: readonly World[];
  readonly seeds: readonly string[];
  readonly settings: ScenarioSettings;
  readonly emulation: Emulation;
  /** Null: no device takes part. */
  readonly devices: readonly Device[] | null;
  readonly output: Output;
  readonly options: RunOptions;
};

async function playAll({ scenarios, worlds, seeds, settings, emulation, devices, output, options }: Campaign): Promise<number> {
  const startedAt = new Date();
  const startMs = performance.now();
  const planned = worlds.flatMap((world) => scenarios.flatMap((scenario) => seeds.map((seed) => ({ world, scenario, seed }))));
  const jobs = planned.map(({ world, scenario, seed }, i): PlayJob => ({
    scenario,
    seed,
    verify: options.verify === true,
    permute: options.permute === true,
    recordFile: join(output.work, `run-${i + 1}.part.jsonl`),
    reproduce: reproduceOf(world, scenario, seed, options),
  }));
  const teller = createTeller(
    scenarios.map((scenario) => scenario.name),
    seeds.length,
    worlds.length,
    options,
  );
  const cancel = new AbortController();
  const release = onInterrupt((again) => {
    if (again) process.exit(EXIT_INTERRUPTED);
    teller.say('Stopping; what has ended is written. Interrupt again to stop at once.');
    cancel.abort();
  });
  try {
    const runs: RunSummary[] = [];
    for (const world of worlds) {
      const mine = jobs.filter((_, i) => planned[i]?.world === world);
      const play = world === 'sim' ? playSimulated : playReally(world, emulation, devices);
      const played = await play(mine, settings, teller, cancel.signal, options);
      if (played === null) return EXIT_REJECTED;
      runs.push(...played);
    }
    const suite: SuiteSummary = {
      schema: 1,
      tool: 'wasmmatrix',
      commit: commitOf(),
      startedAt: startedAt.toISOString(),
      wallMs: Math.round(performance.now() - startMs),
      verify: options.verify === true,
      sometimes: sometimesOf(runs),
      requireSometimes: options.requireSometimes === true,
      runs,
    };
    teller.clear();
    if (runs.some(isDiskFull)) return refuse([describeError(diskFull(output.folder))]);
    const written = await writeReports({ suite, recordFiles: jobs.map((job) => job.recordFile), folder: output.work });
    output.commit(written);
    if (options.json === true) print(JSON.stringify(suite, null, 2));
    else tell(suite, output.folder, written);
    release(); // What follows stops in its own way.
    if (options.shrink === true && !cancel.signal.aborted) await shrinkFirst(output.folder, options);
    // A report that was asked for and is missing is no success, whatever held.
    return exitCodeOf(suite) || (written.length < REPORT_FILES.length ? EXIT_REJECTED : 0);
  } finally {
    teller.clear();
    release();
  }
}

function reproduceOf(
  world: World,
  { file, name }: Scenario,
  seed: string,
  { machines, inventory, processes, pace: asked, verify, permute }: RunOptions,
): string {
  return [
    `npx wasmmatrix run ${isInCatalogue(file) ? name : quotePath(file)}`,
    ...(world === 'sim' ? [] : [`--target ${world}`]),
    ...(hasMachines(world) && machines !== undefined ? [`--machines ${machines}`] : []),
    ...(hasDevices(world) && inventory !== undefined ? [`--inventory ${quotePath(inventory)}`] : []),
    ...(world === 'loop' && processes !== undefined ? [`--processes ${processes}`] : []),
    ...(world !== 'sim' && asked !== undefined ? [`--pace ${asked}`] : []),
    `--seed ${seed}`,
    ...(permute === true ? ['--permute'] : []),
    ...(verify === true ? ['--verify'] : []),
  ].join(' ');
}

/** Null: refused, and said why. */
type PlayJobs = (
  jobs: readonly PlayJob[],
  settings: ScenarioSettings,
  teller: Teller,
  signal: AbortSignal,
  options: RunOptions,
) => Promise<readonly RunSummary[] | null>;

const playSimulated: PlayJobs = async (jobs, settings, teller, signal, options) => {
  const play: PlayOptions = {
    jobs,
    workersMax: options.jobs ?? availableParallelism(),
    signal,
    onProgress: (progress) => teller.progress(progress, jobs),
    onResult: (summary) => teller.result(summary),
  };
  if (options.nats === undefined) return runCampaign({ ...play, player: PLAYER, settings });
  const tell = (text: string): void => void (options.quiet === true || teller.say(text));
  const remote = await openRemote(options, settings, { warn: teller.say, tell });
  if (remote === null) return null;
  try {
    return await remote.crew.play(play);
  } finally {
    await remote.close();
  }
};

/** One after the other: each has processes enough. */
function playReally(world: World, emulation: Emulation, devices: readonly Device[] | null): PlayJobs {
  const where = {
    sim: 'in the simulator',
    local: 'on local processes',
    qemu: 'with emulated machines',
    devices: 'with physical devices',
    loop: 'with hardware in the loop',
  }[world];
  return async (jobs, settings, teller, signal, options) => {
    const runs: RunSummary[] = [];
    for (const job of jobs) {
      const { name, durationMicros, quietMicros } = job.scenario;
      const summary = signal.aborted
        ? notPlayed(job, world)
        : await playLocally(job, {
            settings,
            emulation: hasMachines(world) ? emulation : null,
            devices: world === 'devices' || (world === 'loop' && options.inventory !== undefined) ? devices : null,
            processesMax: world === 'loop' ? (options.processes ?? PROCESSES) : null,
            pace:
              options.pace === undefined
                ? null
                : { factor: options.pace, because: `A second of this run took ${options.pace} s, as asked.` },
            signal,
            onProgress: (micros) => teller.play(`${name} ${where}`, micros, durationMicros + quietMicros),
          });
      runs.push(summary);
      teller.result(summary);
    }
    return runs;
  };
}

function notPlayed(job: PlayJob, world: World): RunSummary {
  const nothing = { trouble: 'Stopped by the user before it began.', simulatedMicros: 0, wallMs: 0, steps: 0 };
  return { ...summaryOf(job, { verdict: 'cancelled', ...nothing }), world };
}

/** Failures, and what the suite came to. */
function tell(suite: SuiteSummary, folder: string, written: readonly string[]): void {
  const brief = { ...suite, runs: suite.runs.map((run) => ({ ...run, lastRecords: run.lastRecords.slice(-EVENTS_TOLD_MAX) })) };
  const lines = suiteLines(brief, describePath(folder), paint());
  for (const line of lines) if (!line.endsWith('/report.html') || written.includes('report.html')) say(line);
  const cancelled = suite.runs.filter((run) => run.verdict === 'cancelled').length;
  if (cancelled > 0) say(`  interrupted: ${cancelled} of ${suite.runs.length} runs did not end.`);
}

function collectWorlds(text: string): readonly World[] {
  const named: readonly string[] = text === 'both' ? BOTH : text.split(',');
  const worlds = WORLDS.filter((world) => named.includes(world));
  if (worlds.length === named.length) return worlds;
  throw new InvalidArgumentError(`Give ${WORLDS.join(', ')}, several of them with commas, or both.`);
}

function collectSeed(text: string, seeds: readonly string[] = []): readonly string[] {
  const seed = canonicalSeed(text === 'random' ? `0x${randomBytes(8).toString('hex')}` : text);
  if (seed === null) throw new InvalidArgumentError('Give 0x and up to 16 hexadecimal digits, a whole number, or `random`.');
  return [...new Set([...seeds, seed])];
}

function pace(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value < 1 || value > PACE_MAX)
    throw new InvalidArgumentError(`Give a number from 1 (real time) to ${PACE_MAX}.`);
  return value;
}
