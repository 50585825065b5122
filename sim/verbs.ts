// The verbs of the simulator. `run` plays scenarios in worker threads, tells what held, and writes the record and reports.
// A composition root: it may import anything, and decides nothing that a scenario or a goal should decide.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { styleText } from 'node:util';
import { InvalidArgumentError, type Command } from 'commander';
import { EngineBuildError, ensureEngine } from '../hardware/wasm/build/build.ts';
import { createProgressPrinter } from '../hardware/wasm/build/progress.ts';
import { exitCodeOf, groupByScenario } from '../reports/summarise.ts';
import { scenarioLines, suiteLines, type Paint } from '../reports/reporters/terminal.ts';
import { writeReports } from '../reports/write.main.ts';
import { buildExamples, ExampleBuildError } from '../scenarios/examples/build.ts';
import type { RunSummary, SuiteSummary } from '../scenarios/record.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { describeError, type WmError } from '../system/domain/outcome.ts';
import { runCampaign, type CampaignProgress, type PlayJob } from './campaign/campaign.ts';
import { catalogueFiles, findScenario, readScenarios } from './campaign/library.main.ts';
import type { ScenarioSettings } from './campaign/scenario.main.ts';
import manifest from '../package.json' with { type: 'json' };
import { canonicalSeed } from './kernel/kernel.ts';

const PLAYER = new URL('./campaign/scenario.main.ts', import.meta.url);
const SEEDS = 3;
/** Bound: seeds of one call. */
const SEEDS_MAX = 100_000;
const EXIT_REJECTED = 2;
const EXIT_INTERRUPTED = 130;
const PROGRESS_MS = 200;

type RunOptions = {
  readonly seed: readonly string[];
  readonly seeds: number | undefined;
  readonly filter: string | undefined;
  readonly jobs: number;
  readonly out: string | undefined;
  readonly verify: boolean;
  readonly list: boolean;
  readonly json: boolean;
  readonly digests: boolean;
  readonly quiet: boolean;
};

export function addRun(program: Command): void {
  program
    .command('run')
    .summary('play scenarios in the simulator and say what held')
    .description(
      'Plays scenarios in the deterministic simulator: the real controller and the real agents, real guests, virtual time. Without a name it plays the whole catalogue. Says what held, and for what did not: the goal, the last events, and the command that reproduces it.',
    )
    .argument('[scenario...]', 'names in the catalogue, or paths of .scenario.yaml files')
    .option('--seed <seed>', 'play this seed: 0x… or a number, or `random`; may be repeated', collectSeed, [])
    .option('--seeds <n>', `play this many seeds, from 0x1 (default: ${SEEDS})`, count(SEEDS_MAX))
    .option('--filter <text>', 'only scenarios whose name, tag or requirement contains this')
    .option('--jobs <n>', 'worker threads', count(256), availableParallelism())
    .option('--out <folder>', 'where the reports go (default: reports/out/<time>)')
    .option('--verify', 'play every seed twice and name the first difference', false)
    .option('--list', 'list the scenarios and play none', false)
    .option('--json', 'print the summary as JSON on stdout', false)
    .option('--digests', 'print the digest of each run', false)
    .option('-q, --quiet', 'no progress', false)
    .action(async (names: readonly string[], options: RunOptions) => {
      process.exitCode = await run(names, options);
    });
}

async function run(names: readonly string[], options: RunOptions): Promise<number> {
  const selected = selectScenarios(names, options.filter);
  if ('errors' in selected) return refuse(selected.errors.map(describeError));
  const { scenarios } = selected;
  if (options.list) return list(scenarios, options.json);
  const seeds = options.seed.length > 0 ? options.seed : Array.from({ length: options.seeds ?? SEEDS }, (_, i) => `0x${(i + 1).toString(16)}`);
  const settings = await prepare(options);
  if (settings === null) return EXIT_REJECTED;
  return playAll(scenarios, seeds, settings, options);
}

function selectScenarios(names: readonly string[], filter: string | undefined): { readonly scenarios: readonly Scenario[] } | { readonly errors: readonly WmError[] } {
  const found = names.length === 0 ? catalogueFiles().map((file) => ({ ok: true, value: file }) as const) : names.map(findScenario);
  const missing = found.flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));
  const { scenarios, errors } = readScenarios(found.flatMap((outcome) => (outcome.ok ? [outcome.value] : [])));
  if (missing.length + errors.length > 0) return { errors: [...missing, ...errors] };
  const wanted = scenarios.filter((scenario) => filter === undefined || [scenario.name, ...scenario.tags, ...scenario.requirements].some((text) => text.includes(filter)));
  if (wanted.length > 0) return { scenarios: wanted };
  return {
    errors: [
      {
        kind: 'rejected',
        code: 'WM_SCENARIO_NOT_FOUND',
        message: `No scenario has '${filter ?? ''}' in its name, tags or requirements.`,
        next: 'Run `wasmmatrix run --list` for what there is.',
        detail: {},
      },
    ],
  };
}

function list(scenarios: readonly Scenario[], json: boolean): number {
  if (json) {
    print(JSON.stringify(scenarios.map(({ name, question, tags, requirements, file }) => ({ name, question, tags, requirements, file })), null, 2));
    return 0;
  }
  const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
  for (const scenario of scenarios) {
    print(`${scenario.name.padEnd(width)}  ${scenario.question}`);
    print(`${' '.repeat(width)}  ${[...scenario.tags, ...scenario.requirements].join(' ')}`);
  }
  return 0;
}

/** Builds what is missing: the engine on the first run of a machine, the example guests. */
async function prepare(options: RunOptions): Promise<ScenarioSettings | null> {
  try {
    const engine = await ensureEngine(options.quiet ? {} : { onProgress: createProgressPrinter(process.stderr) });
    const examples = await buildExamples();
    return {
      engine,
      examples: [...examples].map(([name, example]) => ({ name, file: example.wasmPath, capabilities: example.manifest.capabilities, limits: example.manifest.limits })),
      version: manifest.version,
      stopWhenBroken: true,
    };
  } catch (error) {
    if (!(error instanceof EngineBuildError) && !(error instanceof ExampleBuildError)) throw error;
    refuse([`${error instanceof EngineBuildError ? error.code : 'WM_GUEST_BUILD'}: ${error.message}`]);
    return null;
  }
}

async function playAll(scenarios: readonly Scenario[], seeds: readonly string[], settings: ScenarioSettings, options: RunOptions): Promise<number> {
  const startedAt = new Date();
  const startMs = performance.now();
  const out = resolve(options.out ?? join('reports', 'out', startedAt.toISOString().replaceAll(/[:.]/g, '-')));
  // Written beside its final place and moved there whole: a folder that exists is complete.
  const work = `${out}.part`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const planned = scenarios.flatMap((scenario) => seeds.map((seed) => ({ scenario, seed })));
  const jobs = planned.map(({ scenario, seed }, i): PlayJob => ({
    scenario,
    seed,
    verify: options.verify,
    recordFile: join(work, `run-${i + 1}.part.jsonl`),
    reproduce: `npx wasmmatrix run ${scenario.file.startsWith('scenarios/catalogue/') ? scenario.name : scenario.file} --seed ${seed}`,
  }));
  const teller = createTeller(scenarios, seeds.length, options);
  const cancel = new AbortController();
  const interrupt = (): void => {
    if (cancel.signal.aborted) process.exit(EXIT_INTERRUPTED);
    teller.say('Stopping; what has ended is written. Interrupt again to stop at once.');
    cancel.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    const runs = await runCampaign({
      jobs,
      player: PLAYER,
      settings,
      workersMax: options.jobs,
      signal: cancel.signal,
      onProgress: (progress) => teller.progress(progress, jobs),
      onResult: (summary) => teller.result(summary),
    });
    const suite: SuiteSummary = {
      schema: 1,
      tool: 'wasmmatrix',
      commit: commit(),
      startedAt: startedAt.toISOString(),
      wallMs: Math.round(performance.now() - startMs),
      verify: options.verify,
      runs,
    };
    teller.clear();
    await writeReports({ suite, recordFiles: jobs.map((job) => job.recordFile), folder: work });
    rmSync(out, { recursive: true, force: true });
    mkdirSync(dirname(out), { recursive: true });
    renameSync(work, out);
    if (options.json) print(JSON.stringify(suite, null, 2));
    else for (const line of suiteLines(suite, relative('.', out) || out, paint())) print(line);
    return exitCodeOf(suite);
  } finally {
    teller.clear();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    rmSync(work, { recursive: true, force: true });
  }
}

type Teller = {
  readonly progress: (progress: CampaignProgress, jobs: readonly PlayJob[]) => void;
  readonly result: (summary: RunSummary) => void;
  readonly say: (text: string) => void;
  readonly clear: () => void;
};

/** Progress on stderr, a line for each scenario on stdout as soon as its last seed is done. */
function createTeller(scenarios: readonly Scenario[], seeds: number, options: RunOptions): Teller {
  const live = process.stderr.isTTY && !options.quiet && !options.json;
  const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
  const finished: RunSummary[] = [];
  let shown = false;
  let lastMs = 0;
  const clear = (): void => {
    if (shown) process.stderr.write('\r\u001B[2K');
    shown = false;
  };
  return {
    clear,
    say(text) {
      clear();
      process.stderr.write(`${text}\n`);
    },
    progress(progress, jobs) {
      if (!live || performance.now() - lastMs < PROGRESS_MS) return;
      lastMs = performance.now();
      const rate = progress.wallMs > 0 ? progress.simulatedMicros / 1_000 / progress.wallMs : 0;
      const leftMs = progress.runsDone > 0 ? (progress.wallMs / progress.runsDone) * (progress.runsTotal - progress.runsDone) : null;
      const now = progress.active.map(({ index, micros }) => `${jobs[index]?.scenario.name} ${Math.round(micros / 1_000_000)} s`).join(', ');
      const line = `${progress.runsDone} of ${progress.runsTotal} runs, ×${Math.round(rate)}${leftMs === null ? '' : `, about ${Math.ceil(leftMs / 1_000)} s left`}  ${now}`;
      process.stderr.write(`\r\u001B[2K${line.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))}`);
      shown = true;
    },
    result(summary) {
      finished.push(summary);
      if (options.json) return;
      clear();
      if (options.digests) print(`  ${summary.digest ?? '-'.repeat(16)}  ${summary.scenario} ${summary.seed}`);
      const mine = finished.filter((other) => other.scenario === summary.scenario);
      if (mine.length < seeds) return;
      for (const group of groupByScenario(mine)) for (const line of scenarioLines(group, width, paint())) print(line);
    },
  };
}

function paint(): Paint {
  const coloured = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return (style, text) => (coloured ? styleText(style, text) : text);
}

function refuse(lines: readonly string[]): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  return EXIT_REJECTED;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The commit that was run, with a plus when the tree differs from it; null outside a checkout. */
function commit(): string | null {
  try {
    const git = (...args: readonly string[]): string => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const head = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}+`;
  } catch {
    return null;
  }
}

function collectSeed(text: string, seeds: readonly string[]): readonly string[] {
  const seed = canonicalSeed(text === 'random' ? `0x${randomBytes(8).toString('hex')}` : text);
  if (seed === null) throw new InvalidArgumentError('Give 0x and up to 16 hexadecimal digits, a whole number, or `random`.');
  return [...seeds, seed];
}

function count(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most) throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
    return value;
  };
}
