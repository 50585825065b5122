// `wasmmatrix fuzz`: draws runs, one from each seed, and plays them until time or number is reached. A run that fails leaves its
// scenario as a file, with the one command that plays it again. A composition root.
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { Coverage, COVERAGE_FILE, neverLine, type CoverageSummary } from '../../reports/coverage.ts';
import { exitCodeOf } from '../../reports/summarise.ts';
import { loadScenario } from '../../scenarios/load.ts';
import type { RunRecord, RunSummary, Verdict } from '../../scenarios/record.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { assert, describeError } from '../../system/domain/outcome.ts';
import { SIM_FAULT_KINDS } from '../faults/faults.ts';
import { count, positive, seedOf } from './arguments.main.ts';
import { runCampaign, type CampaignProgress, type PlayJob } from './campaign.ts';
import { drawRun, type Base, type Drawn } from './draw/draw.ts';
import { describePath, findScenario, fleetLibrary, quotePath, readScenarios } from './library.main.ts';
import { wordsOf } from './output.main.ts';
import { prepare } from './prepare.main.ts';
import { brokenGoal } from './shrink/failure.ts';
import { createProgressLine, EXIT_INTERRUPTED, EXIT_REJECTED, onInterrupt, print, refuse, say } from './teller.main.ts';

const PLAYER = new URL('./scenario.main.ts', import.meta.url);
const MINUTES = 5;
const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 3_600_000;
/** Bound: runs of one call. */
const RUNS_MAX = 1_000_000;
/** Runs that are drawn and handed to a set of workers at a time. */
const BATCH_RUNS = 64;
/** Bound: failures that are kept; a campaign with more is told to stop and look at these first. */
const FAILURES_MAX = 50;
const SEEDS = 1n << 64n;

type FuzzOptions = {
  readonly minutes?: number;
  readonly runs?: number;
  readonly seed?: string;
  readonly jobs?: number;
  readonly out?: string;
  readonly json?: true;
  readonly quiet?: true;
};

export type FuzzFailure = {
  readonly seed: string;
  readonly verdict: Verdict;
  /** Goal or invariant; null when it was none. */
  readonly goal: string | null;
  readonly because: string;
  readonly scenario: string;
  readonly reproduce: string;
};

export type FuzzSummary = {
  readonly schema: 1;
  readonly seed: string;
  readonly runs: number;
  readonly held: number;
  readonly simulatedMicros: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly runsPerCoreHour: number;
  readonly interrupted: boolean;
  readonly failures: readonly FuzzFailure[];
};

export function addFuzz(program: Command): void {
  program
    .command('fuzz')
    .summary('draw fleets, work and faults from seeds, and play them')
    .description(
      'Swarm testing in the simulator: every run draws its own fleet, work, kinds of fault and rates from one seed, and is held to all invariants and to what must stand when everything has healed. With names, the fleet and work of these scenarios are kept and only the faults are drawn. A failure is written as a scenario file, with the command that reproduces it.',
    )
    .argument('[scenario...]', 'names in the catalogue, or paths of .scenario.yaml files, to draw faults for')
    .option('--minutes <n>', `play for so long (default: ${MINUTES}, or until --runs)`, positive)
    .option('--runs <n>', 'play so many runs', count(RUNS_MAX))
    .option('--seed <seed>', 'seed of the first run, the next ones follow it (default: a random one)', seedOf)
    .option('--jobs <n>', 'worker threads (default: 1)', count(256))
    .option('--out <folder>', 'where plans and failures go (default: reports/out/fuzz-<time>)')
    .option('--json', 'print the summary, and nothing else, as JSON on stdout')
    .option('-q, --quiet', 'no progress, and no line for a run that held')
    .action(async (names: readonly string[], options: FuzzOptions) => {
      process.exitCode = await fuzz(names, options);
    });
}

async function fuzz(names: readonly string[], options: FuzzOptions): Promise<number> {
  const bases = readBases(names);
  if ('errors' in bases) return refuse(bases.errors);
  const folder = options.out ?? join('reports', 'out', `fuzz-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'plans.jsonl'), '');
  } catch (error) {
    return refuse([`WM_ARGUMENT (rejected): Nothing can be written to ${folder}: ${wordsOf(error)}. Name another folder with --out.`]);
  }
  const settings = await prepare(options.quiet === true);
  if (settings === null) return EXIT_REJECTED;
  const campaign = new FuzzCampaign(bases.bases, folder, options);
  const summary = await campaign.play(settings);
  writeFileSync(join(folder, COVERAGE_FILE), `${JSON.stringify(campaign.coverage(), null, 2)}\n`);
  writeFileSync(join(folder, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  if (options.json === true) print(JSON.stringify(summary, null, 2));
  else campaign.tell(summary);
  const worst = exitCodeOf({ runs: summary.failures });
  return worst !== 0 ? worst : summary.interrupted ? EXIT_INTERRUPTED : 0;
}

function readBases(names: readonly string[]): { readonly bases: readonly Base[] } | { readonly errors: readonly string[] } {
  const found = names.map(findScenario);
  const missing = found.flatMap((outcome) => (outcome.ok ? [] : [describeError(outcome.error)]));
  const files = [...new Set(found.flatMap((outcome) => (outcome.ok ? [outcome.value] : [])))];
  const { scenarios, errors } = readScenarios(files);
  if (missing.length + errors.length > 0) return { errors: [...missing, ...errors.map(describeError)] };
  return { bases: scenarios.map((scenario, i) => ({ scenario, text: readFileSync(files[i] ?? '', 'utf8') })) };
}

type Planned = { readonly seed: string; readonly drawn: Drawn; readonly scenario: Scenario };

class FuzzCampaign {
  readonly #bases: readonly Base[];
  readonly #folder: string;
  readonly #options: FuzzOptions;
  readonly #seed: string;
  readonly #runsMax: number;
  readonly #msMax: number;
  readonly #line;
  readonly #failures: FuzzFailure[] = [];
  readonly #startMs = performance.now();
  readonly #startCpu = process.cpuUsage();
  readonly #coverage = new Coverage(SIM_FAULT_KINDS);
  #runs = 0;
  #held = 0;
  #simulatedMicros = 0;
  #interrupted = false;

  constructor(bases: readonly Base[], folder: string, options: FuzzOptions) {
    this.#bases = bases;
    this.#folder = folder;
    this.#options = options;
    this.#seed = options.seed ?? `0x${randomBytes(6).toString('hex').replace(/^0+/, '') || '1'}`;
    this.#runsMax = options.runs ?? RUNS_MAX;
    this.#msMax = options.minutes === undefined && options.runs !== undefined ? Infinity : (options.minutes ?? MINUTES) * MS_PER_MINUTE;
    this.#line = createProgressLine(options.quiet === true || options.json === true);
  }

  async play(settings: unknown): Promise<FuzzSummary> {
    const over = new AbortController();
    const release = onInterrupt((again) => {
      if (again) process.exit(EXIT_INTERRUPTED);
      this.#interrupted = true;
      this.#line.clear();
      process.stderr.write('Stopping; what has ended is counted. Interrupt again to stop at once.\n');
      over.abort();
    });
    const timer = Number.isFinite(this.#msMax) ? setTimeout(() => over.abort(), this.#msMax) : undefined;
    if (this.#options.json !== true) say(`Drawing from seed ${this.#seed}; every run is \`wasmmatrix fuzz --seed <its seed> --runs 1\`.`);
    try {
      while (!over.signal.aborted && this.#runs < this.#runsMax && this.#failures.length < FAILURES_MAX) {
        await this.#playBatch(settings, over.signal);
      }
    } finally {
      clearTimeout(timer);
      release();
      this.#line.clear();
    }
    return this.#summary();
  }

  coverage(): CoverageSummary {
    return this.#coverage.summary();
  }

  tell(summary: FuzzSummary): void {
    const { runs, held, failures, runsPerCoreHour, simulatedMicros, wallMs } = summary;
    say('');
    say(
      `${runs} runs, ${held} held, ${failures.length} failed; ${Math.round(simulatedMicros / MS_PER_MINUTE / 1_000)} simulated minutes in ${Math.round(wallMs / 1_000)} s; ${runsPerCoreHour} runs per core-hour.`,
    );
    for (const failure of failures) {
      say(`  ${failure.seed}  ${failure.verdict}  ${failure.goal ?? ''}  ${firstLine(failure.because)}`);
      say(`  reproduce: ${failure.reproduce}`);
    }
    if (failures.length >= FAILURES_MAX) say(`  stopped at ${FAILURES_MAX} failures.`);
    if (summary.interrupted) say('  interrupted.');
    say(`  ${neverLine(this.coverage())}`);
    say(`  what was drawn: ${describePath(join(this.#folder, 'plans.jsonl'))}`);
  }

  async #playBatch(settings: unknown, signal: AbortSignal): Promise<void> {
    const planned = Array.from({ length: Math.min(BATCH_RUNS, this.#runsMax - this.#runs) }, (_, i) => this.#plan(this.#runs + i));
    const jobs = planned.map(({ seed, scenario }): PlayJob => ({
      scenario,
      seed,
      verify: false,
      recordFile: this.#recordFile(seed),
      reproduce: `npx wasmmatrix run ${quotePath(scenario.file)} --seed ${seed}`,
    }));
    const simulatedMicros = this.#simulatedMicros;
    await runCampaign({
      jobs,
      player: PLAYER,
      settings,
      workersMax: this.#options.jobs ?? 1,
      signal,
      onProgress: (progress) => this.#line.draw(() => this.#progress(progress, simulatedMicros)),
      onResult: (summary, i) => {
        this.#settle(planned[i], summary);
        rmSync(this.#recordFile(summary.seed), { force: true });
      },
    });
  }

  /** Run `i` of this campaign is the first one of a campaign that begins with its seed. */
  #plan(i: number): Planned {
    const seed = `0x${((BigInt(this.#seed) + BigInt(i)) % SEEDS).toString(16)}`;
    const base = this.#bases.length === 0 ? null : (this.#bases[Number(BigInt(seed) % BigInt(this.#bases.length))] ?? null);
    const drawn = drawRun(seed, SIM_FAULT_KINDS, base);
    const loaded = loadScenario({ file: join(describePath(this.#folder), drawn.file), text: drawn.text }, fleetLibrary);
    assert(loaded.ok, `seed ${seed} draws a valid scenario: ${loaded.ok ? '' : describeError(loaded.error)}\n${drawn.text}`);
    return { seed, drawn, scenario: loaded.value };
  }

  #settle(planned: Planned | undefined, summary: RunSummary): void {
    if (planned === undefined || summary.verdict === 'cancelled') return;
    const { seed, drawn } = planned;
    this.#runs += 1;
    this.#simulatedMicros += summary.simulatedMicros;
    this.#cover(summary);
    const goal = brokenGoal(summary);
    const plan = {
      seed,
      verdict: summary.verdict,
      digest: summary.digest,
      nodes: drawn.nodes,
      faults: drawn.faults,
      goal: goal?.name ?? null,
    };
    appendFileSync(join(this.#folder, 'plans.jsonl'), `${JSON.stringify(plan)}\n`);
    this.#line.clear();
    const told = `${seed}  ${summary.verdict.padEnd(11)} ${drawn.nodes} nodes, ${planned.scenario.durationMicros / 1_000_000} s, ${describeFaults(drawn.faults)}`;
    if (summary.verdict === 'held') {
      this.#held += 1;
      if (this.#options.quiet !== true && this.#options.json !== true) say(told);
      return;
    }
    writeFileSync(planned.scenario.file, drawn.text);
    const because = summary.trouble ?? goal?.because ?? '';
    const { reproduce, verdict } = summary;
    this.#failures.push({ seed, verdict, goal: goal?.name ?? null, because, scenario: planned.scenario.file, reproduce });
    if (this.#options.json === true) return;
    say(told);
    say(`  ${goal?.name ?? 'trouble'}: ${firstLine(because)}`);
    say(`  reproduce: ${reproduce}`);
  }

  /** A record is read once and removed: thousands of runs would fill a disk, and any of them can be played again. */
  #cover({ seed, goals }: RunSummary): void {
    const run = this.#coverage.run();
    for (const line of readFileSync(this.#recordFile(seed), 'utf8').split('\n'))
      if (line !== '' && !line.startsWith('{"run":')) run.next(JSON.parse(line) as RunRecord);
    run.end(goals);
  }

  #recordFile(seed: string): string {
    return join(this.#folder, `.${seed}.part.jsonl`);
  }

  #progress(progress: CampaignProgress, before: number): string {
    const wallMs = performance.now() - this.#startMs;
    const ratio = Math.round((before + progress.simulatedMicros) / 1_000 / wallMs);
    const byRuns = this.#runs > 0 ? (wallMs / this.#runs) * (this.#runsMax - this.#runs) : Infinity;
    const leftMs = Math.min(this.#msMax - wallMs, this.#runsMax < RUNS_MAX ? byRuns : Infinity);
    const left = Number.isFinite(leftMs) ? `, about ${Math.ceil(Math.max(0, leftMs) / 1_000)} s left` : '';
    return `${this.#runs} runs, ${this.#failures.length} failed, ${this.#rate()} per core-hour, ×${ratio}${left}`;
  }

  /** Of processor time, so that a busy machine does not make it worse. */
  #rate(): number {
    const cpuMs = this.#cpuMs();
    return cpuMs === 0 ? 0 : Math.round((this.#runs * MS_PER_HOUR) / cpuMs);
  }

  #cpuMs(): number {
    const { user, system } = process.cpuUsage(this.#startCpu);
    return Math.round((user + system) / 1_000);
  }

  #summary(): FuzzSummary {
    return {
      schema: 1,
      seed: this.#seed,
      runs: this.#runs,
      held: this.#held,
      simulatedMicros: this.#simulatedMicros,
      wallMs: Math.round(performance.now() - this.#startMs),
      cpuMs: this.#cpuMs(),
      runsPerCoreHour: this.#rate(),
      interrupted: this.#interrupted,
      failures: this.#failures,
    };
  }
}

function describeFaults(faults: Readonly<Record<string, number>>): string {
  return (
    Object.entries(faults)
      .map(([kind, n]) => `${kind} ${n}`)
      .join(', ') || 'no fault'
  );
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
