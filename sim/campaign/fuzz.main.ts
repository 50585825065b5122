// `wasmmatrix fuzz`: draws runs, one from each seed, and plays them until time or number is reached. A run that fails leaves its
// scenario as a file, with the one command that plays it again. A composition root.
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { Coverage, COVERAGE_FILE, neverLine, type CoverageSummary, type RunCoverage } from '../../reports/coverage.ts';
import { SometimesTally } from '../../reports/sometimes.ts';
import { exitCodeOf } from '../../reports/summarise.ts';
import { STATE_NAMES, StateWatch } from '../../scenarios/goals/goals.ts';
import { loadScenario } from '../../scenarios/load.ts';
import type { RunRecord, RunSummary } from '../../scenarios/record.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { assert, describeError, failed } from '../../system/domain/outcome.ts';
import { SIM_FAULT_KINDS } from '../faults/faults.ts';
import { count, positive, seedOf } from './arguments.main.ts';
import { runCampaign, type CampaignProgress, type PlayJob, type PlayOptions } from './campaign.ts';
import { drawPlan, type Base, type Drawn, type Plan } from './draw/draw.ts';
import { batchSize, Explorer } from './explore.ts';
import { FAILURES_MAX, firstLine, tellSummary, type Ending, type FuzzFailure, type FuzzSummary } from './fuzz-summary.ts';
import { describePath, findScenario, fleetLibrary, quotePath, readScenarios } from './library.main.ts';
import { wordsOf } from './output.main.ts';
import { prepare } from './prepare.main.ts';
import { addNatsOptions, jobsElsewhere, openRemote, serversTrouble, type NatsFlags } from './remote/nats.main.ts';
import type { ScenarioSettings } from './scenario.main.ts';
import { shrinkFirst } from './shrink.main.ts';
import { brokenGoal } from './shrink/failure.ts';
import { createProgressLine, EXIT_INTERRUPTED, EXIT_REJECTED, onInterrupt, print, refuse, say, workersOf } from './teller.main.ts';

const PLAYER = new URL('./scenario.main.ts', import.meta.url);
const MINUTES = 5;
const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 3_600_000;
/** Bound: runs of one call. */
const RUNS_MAX = 1_000_000;
const SEEDS = 1n << 64n;

type FuzzOptions = NatsFlags & {
  readonly minutes?: number;
  readonly runs?: number;
  readonly seed?: string;
  readonly untilQuiet?: number;
  readonly failures: number;
  readonly jobs?: number;
  readonly permute?: true;
  readonly unrepairable?: true;
  /** `--no-guide` makes it false. */
  readonly guide: boolean;
  readonly requireSometimes?: true;
  readonly shrink?: true;
  readonly out?: string;
  readonly json?: true;
  readonly quiet?: true;
};

export function addFuzz(program: Command): void {
  const command = program
    .command('fuzz')
    .summary('draw fleets, work and faults from seeds, and play them')
    .description(
      'Swarm testing in the simulator: every run draws its own fleet, work, kinds of fault and rates from one seed, and is held to all invariants and to what must stand when everything has healed. With names, the fleet and work of these scenarios are kept and only the faults are drawn. Half of the runs are drawn near earlier ones that met something new. A failure is written as a scenario file, with the command that reproduces it.',
    )
    .argument('[scenario...]', 'names in the catalogue, or paths of .scenario.yaml files, to draw faults for')
    .option('--minutes <n>', `play for so long (default: ${MINUTES}, or until --runs or --until-quiet)`, positive)
    .option('--runs <n>', 'play so many runs', count(RUNS_MAX))
    .option('--until-quiet <n>', 'play until so many runs, one after the other, met nothing new', count(RUNS_MAX))
    .option('--failures <n>', 'end at so many failures', count(FAILURES_MAX), FAILURES_MAX)
    .option('--seed <seed>', 'seed of the first run, the next ones follow it (default: a random one)', seedOf)
    .option('--jobs <n>', 'worker threads (default: 1)', count(256))
    .option('--permute', 'draw the order of what happens at the same instant on different machines from the seed too')
    .option(
      '--unrepairable',
      'faults may take the last good copy too: the disk of the controller is wiped, or put back to an older copy after it rotted or lied; what is left is what counts',
    )
    .option('--no-guide', 'draw every run afresh, and none near one that met something new')
    .option('--require-sometimes', 'end with 1 when a `sometimes` of the scenarios named happened in no run')
    .option('--out <folder>', 'where plans and failures go (default: reports/out/fuzz-<time>)')
    .option('--shrink', 'make the first failure as small as it gets, for at most 2 minutes: smallest.scenario.yaml beside the report')
    .option('--json', 'print the summary, and nothing else, as JSON on stdout')
    .option('-q, --quiet', 'no progress, and no line for a run that held');
  addNatsOptions(command, 'play on the machines where `wasmmatrix worker` runs with the same servers').action(
    async (names: readonly string[], options: FuzzOptions) => {
      process.exitCode = await fuzz(names, options);
    },
  );
}

async function fuzz(names: readonly string[], options: FuzzOptions): Promise<number> {
  if (options.requireSometimes === true && names.length === 0)
    return refuse([
      'WM_ARGUMENT (rejected): --require-sometimes is about goals of scenarios, and none is named. Name scenarios that have a `sometimes`, or leave it out.',
    ]);
  if (options.unrepairable === true && names.length > 0)
    return refuse([
      'WM_ARGUMENT (rejected): --unrepairable loses what a scenario has set up, and a named scenario does not set it up again. Leave out the names, or write `wipe` or `restore` with `lastCopy: true` into its steps.',
    ]);
  if (options.nats !== undefined && options.jobs !== undefined) return refuse([describeError(jobsElsewhere())]);
  const bases = readBases(names);
  if ('errors' in bases) return refuse(bases.errors);
  const servers = options.nats === undefined ? null : await serversTrouble(options);
  if (servers !== null) return refuse([describeError(servers)]);
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
  let summary: FuzzSummary | null;
  // From the first connection until the last file is written.
  const release = onInterrupt((again) => campaign.interrupt(again));
  try {
    summary = await playFuzz(campaign, settings, options);
    if (summary === null) return EXIT_REJECTED;
    writeFileSync(join(folder, COVERAGE_FILE), `${JSON.stringify(campaign.coverage(), null, 2)}\n`);
    writeFileSync(join(folder, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  } finally {
    release();
  }
  if (options.json === true) print(JSON.stringify(summary, null, 2));
  else tellSummary(summary, neverLine(campaign.coverage()), join(folder, 'plans.jsonl'));
  if (options.shrink === true && !campaign.isInterrupted) await shrinkFirst(folder, options);
  const worst = exitCodeOf({
    runs: summary.failures,
    sometimes: summary.sometimes,
    requireSometimes: options.requireSometimes === true && !campaign.isInterrupted,
  });
  return worst !== 0 ? worst : campaign.isInterrupted ? EXIT_INTERRUPTED : 0;
}

/** Here, or with workers elsewhere; null: refused, and said why. */
async function playFuzz(campaign: FuzzCampaign, settings: ScenarioSettings, options: FuzzOptions): Promise<FuzzSummary | null> {
  if (options.nats === undefined) return campaign.play((play) => runCampaign({ ...play, player: PLAYER, settings }));
  const warn = (text: string): void => campaign.warn(text);
  const remote = await openRemote(options, settings, { warn, tell: options.quiet === true ? () => {} : warn });
  if (remote === null) return null;
  try {
    const summary = await campaign.play((play) => remote.crew.play(play));
    if (summary.runs > 0 || campaign.isInterrupted) return summary;
    const message = `No worker played a run for this campaign: ${remote.crew.whyNothing()}.`;
    const next = `Start one, on any machine with this commit: npx wasmmatrix worker --nats ${(options.nats ?? []).join(',')}.`;
    refuse([describeError(failed('WM_UNREACHABLE', { message, next }).error)]);
    return null;
  } finally {
    await remote.close();
  }
}

function readBases(names: readonly string[]): { readonly bases: readonly Base[] } | { readonly errors: readonly string[] } {
  const found = names.map(findScenario);
  const missing = found.flatMap((outcome) => (outcome.ok ? [] : [describeError(outcome.error)]));
  const files = [...new Set(found.flatMap((outcome) => (outcome.ok ? [outcome.value] : [])))];
  const { scenarios, errors } = readScenarios(files);
  if (missing.length + errors.length > 0) return { errors: [...missing, ...errors.map(describeError)] };
  return { bases: scenarios.map((scenario, i) => ({ scenario, text: readFileSync(files[i] ?? '', 'utf8') })) };
}

/** Plays runs, here or elsewhere. */
type Play = (options: PlayOptions) => Promise<readonly RunSummary[]>;

type Planned = {
  readonly seed: string;
  readonly plan: Plan;
  readonly base: Base | null;
  readonly drawn: Drawn;
  readonly scenario: Scenario;
};

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
  readonly #coverage = new Coverage(SIM_FAULT_KINDS, { names: STATE_NAMES, watch: () => new StateWatch() });
  readonly #states = new SometimesTally();
  readonly #sometimes = new SometimesTally();
  readonly #explorer: Explorer;
  #batches = 0;
  #runs = 0;
  /** Runs since one met something new. */
  #quietRuns = 0;
  #held = 0;
  #simulatedMicros = 0;
  /** Of runs that were played elsewhere, each in a thread of its own. */
  #elsewhereMs = 0;
  #interrupted = false;
  readonly #over = new AbortController();

  constructor(bases: readonly Base[], folder: string, options: FuzzOptions) {
    this.#bases = bases;
    this.#folder = folder;
    this.#options = options;
    this.#seed = options.seed ?? `0x${randomBytes(6).toString('hex').replace(/^0+/, '') || '1'}`;
    this.#runsMax = options.runs ?? RUNS_MAX;
    const isBounded = options.runs !== undefined || options.untilQuiet !== undefined;
    this.#msMax = options.minutes === undefined && isBounded ? Infinity : (options.minutes ?? MINUTES) * MS_PER_MINUTE;
    this.#explorer = new Explorer({
      seed: this.#seed,
      kinds: SIM_FAULT_KINDS,
      isGuided: options.guide,
    });
    this.#line = createProgressLine(options.quiet === true || options.json === true);
  }

  /** On stderr, without disturbing the line of progress. */
  warn(text: string): void {
    this.#line.clear();
    process.stderr.write(`${text}\n`);
  }

  /** Also after the last run, while what is left of it is taken away. */
  get isInterrupted(): boolean {
    return this.#interrupted;
  }

  interrupt(again: boolean): void {
    if (again) process.exit(EXIT_INTERRUPTED);
    this.#interrupted = true;
    this.warn('Stopping; what has ended is counted. Interrupt again to stop at once.');
    this.#over.abort();
  }

  async play(play: Play): Promise<FuzzSummary> {
    const over = this.#over;
    const timer = Number.isFinite(this.#msMax) ? setTimeout(() => over.abort(), this.#msMax) : undefined;
    if (this.#options.json !== true) say(`Drawing from seed ${this.#seed}; a run without "near" is \`${this.#oneRun()}\`.`);
    try {
      while (!over.signal.aborted && this.#ending() === null) await this.#playBatch(play, over.signal);
    } finally {
      clearTimeout(timer);
      this.#line.clear();
    }
    return this.#summary();
  }

  /** The command that plays one run of the campaign again. */
  #oneRun(): string {
    const { permute, unrepairable } = this.#options;
    const [base, ...others] = this.#bases;
    const drawnFor = base === undefined ? '' : others.length === 0 ? ` ${asNamed(base.scenario)}` : ' <its scenario>';
    const options = `${unrepairable === true ? ' --unrepairable' : ''}${permute === true ? ' --permute' : ''}`;
    return `wasmmatrix fuzz${drawnFor} --seed <its seed> --runs 1${options}`;
  }

  /** Null while nothing that was asked for has ended it. */
  #ending(): Ending | null {
    if (this.#failures.length >= this.#options.failures) return 'failures';
    if (this.#quietRuns >= (this.#options.untilQuiet ?? Infinity)) return 'quiet';
    return this.#runs >= this.#runsMax ? 'runs' : null;
  }

  coverage(): CoverageSummary {
    return this.#coverage.summary();
  }

  async #playBatch(play: Play, signal: AbortSignal): Promise<void> {
    const length = Math.min(batchSize(this.#batches++), this.#runsMax - this.#runs);
    const planned = Array.from({ length }, (_, i) => this.#plan(this.#runs + i));
    const enough = new AbortController();
    const jobs = planned.map(({ seed, scenario }): PlayJob => ({
      scenario,
      seed,
      verify: false,
      permute: this.#options.permute === true,
      recordFile: this.#recordFile(seed),
      reproduce: `npx wasmmatrix run ${quotePath(scenario.file)} --seed ${seed}${this.#options.permute === true ? ' --permute' : ''}`,
    }));
    const simulatedMicros = this.#simulatedMicros;
    await play({
      jobs,
      workersMax: this.#options.jobs ?? 1,
      signal: AbortSignal.any([signal, enough.signal]),
      onProgress: (progress) => this.#line.draw(() => this.#progress(progress, simulatedMicros)),
      onResult: (summary, i) => {
        // What had ended when enough was reached is left out: how many that is depends on threads.
        if (this.#ending() === null) this.#settle(planned[i], summary);
        if (this.#ending() !== null) enough.abort();
        rmSync(this.#recordFile(summary.seed), { force: true });
      },
    });
  }

  /** A fresh run of this campaign is the first one of a campaign that begins with its seed. */
  #plan(i: number): Planned {
    const seed = `0x${((BigInt(this.#seed) + BigInt(i)) % SEEDS).toString(16)}`;
    const plan = this.#explorer.planOf(i, seed);
    const base = this.#bases.length === 0 ? null : (this.#bases[Number(BigInt(plan.ground) % BigInt(this.#bases.length))] ?? null);
    const drawn = drawPlan(plan, base, this.#options.unrepairable === true);
    const loaded = loadScenario({ file: join(describePath(this.#folder), drawn.file), text: drawn.text }, fleetLibrary);
    assert(loaded.ok, `seed ${seed} draws a valid scenario: ${loaded.ok ? '' : describeError(loaded.error)}\n${drawn.text}`);
    return { seed, plan, base, drawn, scenario: loaded.value };
  }

  #settle(planned: Planned | undefined, summary: RunSummary): void {
    if (planned === undefined || summary.verdict === 'cancelled') return;
    const { seed, plan, base, drawn } = planned;
    this.#runs += 1;
    this.#simulatedMicros += summary.simulatedMicros;
    if (this.#options.nats !== undefined) this.#elsewhereMs += summary.wallMs;
    const { pairs, states } = this.#cover(summary);
    const fresh = summary.verdict === 'held' ? this.#explorer.learn(plan, pairs) : [];
    this.#quietRuns = fresh.length > 0 ? 0 : this.#quietRuns + 1;
    this.#states.add({ ...summary, goals: STATE_NAMES.map((claim) => ({ claim, reached: states.get(claim) ?? 0 })) }, '');
    if (base !== null) this.#sometimes.add(summary, base.scenario.name);
    const goal = brokenGoal(summary);
    const line = {
      seed,
      near: plan.near,
      verdict: summary.verdict,
      digest: summary.digest,
      nodes: drawn.nodes,
      faults: drawn.faults,
      goal: goal?.name ?? null,
      met: fresh.length,
    };
    appendFileSync(join(this.#folder, 'plans.jsonl'), `${JSON.stringify(line)}\n`);
    this.#line.clear();
    const found = fresh.length === 0 ? '' : `, ${fresh.length} new`;
    const near = plan.near === null ? '' : `, near ${plan.near}`;
    const told = `${seed}  ${summary.verdict.padEnd(11)} ${drawn.nodes} nodes, ${planned.scenario.durationMicros / 1_000_000} s${near}${found}, ${describeFaults(drawn.faults)}`;
    if (summary.verdict === 'held') {
      this.#held += 1;
      if (this.#options.quiet !== true && this.#options.json !== true) say(told);
      return;
    }
    // As `shrink` reads it.
    const text = this.#options.permute === true ? permuted(drawn.text, seed) : drawn.text;
    writeFileSync(planned.scenario.file, text);
    const because = summary.trouble ?? goal?.because ?? '';
    const { reproduce, verdict } = summary;
    this.#failures.push({ seed, verdict, goal: goal?.name ?? null, because, scenario: planned.scenario.file, reproduce });
    if (this.#options.json === true) return;
    say(told);
    say(`  ${goal?.name ?? 'trouble'}: ${firstLine(because)}`);
    say(`  reproduce: ${reproduce}`);
  }

  /** A record is read once and removed: thousands of runs would fill a disk, and any of them can be played again. */
  #cover({ seed, goals }: RunSummary): RunCoverage {
    const run = this.#coverage.run(true);
    for (const line of readFileSync(this.#recordFile(seed), 'utf8').split('\n'))
      if (line !== '' && !line.startsWith('{"run":')) run.next(JSON.parse(line) as RunRecord);
    return run.end(goals);
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
    const { met, of } = this.#coverage.pairs;
    return `${this.#runs} runs${workersOf(progress)}, ${this.#failures.length} failed, ${met} of ${of} pairs, ${this.#quietRuns} runs without a new one, ${this.#rate()} per core-hour, ×${ratio}${left}`;
  }

  /** Of processor time, so that a busy machine does not make it worse. */
  #rate(): number {
    const cpuMs = this.#cpuMs();
    return cpuMs === 0 ? 0 : Math.round((this.#runs * MS_PER_HOUR) / cpuMs);
  }

  #cpuMs(): number {
    const { user, system } = process.cpuUsage(this.#startCpu);
    return this.#options.nats === undefined ? Math.round((user + system) / 1_000) : Math.round(this.#elsewhereMs);
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
      ended: this.#interrupted ? 'interrupt' : (this.#ending() ?? 'time'),
      permute: this.#options.permute === true,
      unrepairable: this.#options.unrepairable === true,
      guided: this.#options.guide,
      coverage: { ...this.#coverage.pairs, quietRuns: this.#quietRuns },
      states: this.#states.summary().map(({ claim: state, reached, times, firstSeed }) => ({ state, reached, times, firstSeed })),
      sometimes: this.#sometimes.summary(),
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

/** By its name where that finds it, by its file otherwise. */
function asNamed({ name, file }: Scenario): string {
  const found = findScenario(name);
  return quotePath(found.ok && resolve(found.value) === resolve(file) ? name : describePath(file));
}

/** What a permuted run says of itself: how it is drawn again, and with what `shrink` plays it. */
function permuted(text: string, seed: string): string {
  return text.replace(/^(# Drawn by `[^`]*)`/, '$1 --permute`').replace(`Seed ${seed}.`, `Seed ${seed} --permute.`);
}
