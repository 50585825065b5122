// `wasmmatrix shrink`: makes the scenario of a failed run smaller while it fails with the same goal, proves at the end that what
// is left still does, and writes it as a scenario file. A composition root.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { loadScenario, nameOf, SCENARIO_SUFFIX } from '../../scenarios/load.ts';
import type { RunSummary } from '../../scenarios/record.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { STEPS_STREAM, timesOf } from '../../scenarios/times.ts';
import { describeError } from '../../system/domain/outcome.ts';
import { createStream } from '../kernel/stream.ts';
import { count, positive, seedOf } from './arguments.main.ts';
import { describePath, findScenario, fleetLibrary, quotePath } from './library.main.ts';
import { wordsOf } from './output.main.ts';
import { prepare } from './prepare.main.ts';
import { describeSize, pinned, readDocument, sizeOf, writeDocument, type Document } from './shrink/document.ts';
import { brokenGoal, describeFailure, failsAlike, failureOf, type Failure } from './shrink/failure.ts';
import { isFault, passesFor } from './shrink/passes.ts';
import { shrink } from './shrink/shrink.ts';
import { Trials } from './shrink/trials.main.ts';
import { createProgressLine, EXIT_INTERRUPTED, EXIT_REJECTED, onInterrupt, print, refuse, say } from './teller.main.ts';
import type { ThreadsOptions } from './threads.ts';

const PLAYER = new URL('./scenario.main.ts', import.meta.url);
const REGRESSIONS = fileURLToPath(new URL('../../scenarios/regressions/', import.meta.url));
const RUNS = 600;
const RUNS_MAX = 100_000;
const MINUTES = 5;
/** What shrinking may take after a campaign that asked for it. */
const MINUTES_AFTER = 2;
/** Beside the report of the campaign. */
const SMALLEST = `smallest${SCENARIO_SUFFIX}`;
const MS_PER_MINUTE = 60_000;
const MICROS_PER_MS = 1_000;
const EXIT_BUG = 70;

type ShrinkVerbOptions = {
  readonly seed?: string;
  readonly runs?: number;
  readonly minutes?: number;
  readonly jobs?: number;
  readonly permute?: true;
  readonly against?: string;
  readonly out?: string;
  readonly keep?: true;
  readonly json?: true;
  readonly quiet?: true;
  /** Prints nothing but refusals: stdout is somebody else's. */
  readonly mute?: true;
};

type Shrunk = { readonly document: Document; readonly smallest: Document; readonly failure: Failure; readonly out: string };

/** What a folder says that the run failed with; `goal` is null where something else stopped it. */
type Recorded = { readonly verdict: string; readonly goal: string | null };

/** A failed run: its scenario's file and its seed. `recorded` is null where nothing says how it failed. */
type Wanted = { readonly file: string; readonly seed: string; readonly permute: boolean; readonly recorded: Recorded | null };

/** `isTold`: also after a campaign, which shrinks nothing without a word where nothing failed. */
type Refusal = { readonly refusal: string; readonly isTold?: true };

export function addShrink(program: Command): void {
  program
    .command('shrink')
    .summary('make the scenario of a failed run as small as it gets')
    .description(
      'Takes faults, deployments, events, commands, nodes, zones, time and options away from the scenario of a failed run, as long as it fails with the same goal or invariant in the simulator. What is left is played twice more, and written as a scenario file.',
    )
    .argument('<failure>', 'the folder of a `run` or `fuzz` that failed, the run.jsonl in it, or a scenario: its name or file')
    .option(
      '--seed <seed>',
      'the seed that fails (default: of a folder the first that failed, of a file the one that its comment names)',
      seedOf,
    )
    .option('--runs <n>', `play at most so many candidates (default: ${RUNS})`, count(RUNS_MAX))
    .option('--minutes <n>', `look for at most so long (default: ${MINUTES})`, positive)
    .option('--jobs <n>', 'worker threads (default: 1)', count(256))
    .option('--permute', 'the run that failed was permuted (default: as the folder, or the comment of the file, says)')
    .option('--against <checkout>', 'only what holds in this folder, another checkout of the project, counts: a failure that is new')
    .option('--out <file>', 'where the scenario goes (default: reports/out/shrink/<name>.scenario.yaml)')
    .option('--keep', 'write it to scenarios/regressions, which the tests play')
    .option('--json', 'print what came out, and nothing else, as JSON on stdout')
    .option('-q, --quiet', 'no progress')
    .action(async (failure: string, options: ShrinkVerbOptions) => {
      process.exitCode = await shrinkVerb(failure, options);
    });
}

/** `--shrink` of a campaign: its first failure in the simulator, beside its report. Nothing when none failed there. */
export async function shrinkFirst(folder: string, { quiet, json }: { readonly quiet?: true; readonly json?: true }): Promise<void> {
  const wanted = wantedIn(folder, undefined);
  if ('refusal' in wanted) return wanted.isTold === true ? void refuse([wanted.refusal]) : undefined;
  const silent = quiet === true || json === true ? { quiet: true as const } : {};
  await shrinkVerb(folder, { minutes: MINUTES_AFTER, out: join(folder, SMALLEST), ...silent, ...(json === true ? { mute: true } : {}) });
}

async function shrinkVerb(named: string, options: ShrinkVerbOptions): Promise<number> {
  const wanted = wantedOf(named, options);
  if ('refusal' in wanted) return refuse([wanted.refusal]);
  const text = readFileSync(wanted.file, 'utf8');
  const loaded = loadScenario({ file: describePath(wanted.file), text }, fleetLibrary);
  if (!loaded.ok) return refuse([describeError(loaded.error)]);
  const out = outputOf(nameOf(wanted.file), options);
  if (options.keep === true && existsSync(out))
    return refuse([`WM_ARGUMENT (rejected): ${describePath(out)} exists already. Rename it, or write elsewhere with --out.`]);
  const against = options.against === undefined ? null : playersOf(options.against);
  if (options.against !== undefined && against === null)
    return refuse([
      `WM_ARGUMENT (rejected): ${describePath(options.against)} is no checkout of WasmMatrix. Name the folder of one with --against.`,
    ]);
  const settings = await prepare(options.quiet === true);
  if (settings === null) return EXIT_REJECTED;
  return new Shrinking(wanted, { player: PLAYER, settings }, against === null ? null : { ...against, settings }, options).run(
    text,
    loaded.value,
    out,
  );
}

/** Player and worker of another checkout; null: it is none. The engine and the guests are those of this one. */
function playersOf(checkout: string): Pick<ThreadsOptions, 'player' | 'worker'> | null {
  const [player, worker] = ['scenario', 'worker'].map((name) =>
    ['ts', 'js'].map((end) => resolve(checkout, 'sim', 'campaign', `${name}.main.${end}`)).find((file) => existsSync(file)),
  );
  return player === undefined || worker === undefined ? null : { player: pathToFileURL(player), worker: pathToFileURL(worker) };
}

class Shrinking {
  readonly #wanted: Wanted;
  readonly #options: ShrinkVerbOptions;
  readonly #line;
  readonly #over = new AbortController();
  readonly #trials: Trials;
  readonly #runsMax: number;
  readonly #msMax: number;
  readonly #startMs = performance.now();
  #now = '';
  #interrupted = false;

  constructor(wanted: Wanted, here: ThreadsOptions, against: ThreadsOptions | null, options: ShrinkVerbOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#runsMax = options.runs ?? RUNS;
    this.#msMax = (options.minutes ?? MINUTES) * MS_PER_MINUTE;
    this.#line = createProgressLine(options.quiet === true || options.json === true);
    this.#trials = new Trials({
      seed: wanted.seed,
      permute: wanted.permute,
      here,
      against,
      workersMax: options.jobs ?? 1,
      over: this.#over.signal,
      onProgress: () => this.#draw(),
    });
  }

  async run(text: string, scenario: Scenario, out: string): Promise<number> {
    try {
      const original = await this.#trials.playOne(scenario);
      const failure = original === null ? null : failureOf(original);
      const named = describePath(this.#wanted.file);
      if (original === null || failure === null) return refuse([this.#describeHeld(named, original?.verdict ?? 'it was stopped')]);
      const there = await this.#trials.playThere(scenario);
      if (there !== null && there.verdict !== 'held')
        return refuse([
          `WM_ARGUMENT (rejected): ${named} does not hold with seed ${this.#wanted.seed} in ${this.#options.against ?? ''}: ${there.verdict}. Name a checkout in which it holds with --against.`,
        ]);
      const document = readDocument(text, fleetLibrary);
      if (this.#options.json !== true && this.#options.mute !== true) {
        say(`${named} with seed ${this.#wanted.seed}: ${describeFailure(failure)}`);
        const { recorded } = this.#wanted;
        if (recorded !== null && !isAsRecorded(recorded, failure))
          say(`  It was recorded as ${describeRecorded(recorded)}, and fails otherwise with this code: that is what is made small.`);
        say(`  before: ${describeSize(sizeOf(document, isFault))}`);
      }
      const smallest = await this.#shrink(document, failure, Math.ceil(original.simulatedMicros / MICROS_PER_MS));
      return await this.#conclude({ document, smallest, failure, out });
    } finally {
      await this.#trials.close();
    }
  }

  /** What ended the search before nothing more could be taken away. */
  #boundMet(): string | null {
    if (this.#interrupted) return 'an interrupt';
    if (this.#trials.runs >= this.#runsMax) return `--runs ${this.#runsMax}`;
    return this.#over.signal.aborted ? `--minutes ${this.#msMax / MS_PER_MINUTE}` : null;
  }

  #describeHeld(named: string, verdict: string): string {
    const { recorded, seed } = this.#wanted;
    if (recorded === null)
      return `WM_ARGUMENT (rejected): ${named} does not fail with seed ${seed}: ${verdict}. Name a seed that fails with --seed.`;
    return `WM_ARGUMENT (rejected): ${named} with seed ${seed} was recorded as ${describeRecorded(recorded)}, and with this code it is not: ${verdict}. Shrink it with the code that it failed with, or name another seed with --seed.`;
  }

  async #shrink(document: Document, failure: Failure, endMs: number): Promise<Document> {
    const timer = setTimeout(() => this.#over.abort(), this.#msMax);
    const release = onInterrupt((again) => {
      if (again) process.exit(EXIT_INTERRUPTED);
      this.#interrupted = true;
      this.#line.clear();
      process.stderr.write('Stopping; what is smallest so far is proved and written. Interrupt again to stop at once.\n');
      this.#over.abort();
    });
    this.#now = `looking, from ${describeSize(sizeOf(document, isFault))}`;
    try {
      const isShown = await this.#trials.begin(writeDocument(document), failure);
      if (!isShown && this.#options.json !== true && this.#options.mute !== true) {
        this.#line.clear();
        say(
          '  It fails without its faults as well. That what is left can hold at all is shown only by --against, a checkout in which it does.',
        );
      }
      return await shrink(await this.#pinned(document, failure), {
        // Where what is left has to hold elsewhere, too little time is no failure of its own.
        passes: passesFor({ keepsQuiet: failure.unconverged && this.#options.against === undefined }),
        endMs,
        isOver: () => this.#over.signal.aborted || this.#trials.runs >= this.#runsMax,
        firstFailing: (texts) => this.#trials.firstFailing(texts, failure),
        onSmaller: (smaller, pass) => {
          this.#now = `${pass}: ${describeSize(sizeOf(smaller, isFault))}`;
          this.#draw();
        },
      });
    } finally {
      clearTimeout(timer);
      release();
      this.#line.clear();
    }
  }

  /** With the times that were drawn, as long as it fails alike with them. */
  async #pinned(document: Document, failure: Failure): Promise<Document> {
    const text = writeDocument(document);
    const loaded = loadScenario({ file: this.#wanted.file, text }, fleetLibrary);
    if (!loaded.ok || loaded.value.steps.every(({ at }) => at.kind === 'at')) return document;
    const still = pinned(document, timesOf(loaded.value.steps, createStream(this.#wanted.seed, STEPS_STREAM)));
    return (await this.#trials.firstFailing([writeDocument(still)], failure)) === null ? document : still;
  }

  #draw(): void {
    const leftS = Math.ceil(Math.max(0, this.#msMax - (performance.now() - this.#startMs)) / 1_000);
    if (this.#now !== '')
      this.#line.draw(() => `${this.#trials.runs} of at most ${this.#runsMax} runs, at most ${leftS} s left; ${this.#now}`);
  }

  async #conclude({ document, smallest, failure, out }: Shrunk): Promise<number> {
    const { seed, permute } = this.#wanted;
    const reproduce = `npx wasmmatrix run ${quotePath(describePath(out))} --seed ${seed}${permute ? ' --permute' : ''}`;
    const text = `# What is left of a run that failed (${describeFailure(failure)}), made small by \`wasmmatrix shrink\`. Seed ${seed}${permute ? ' --permute' : ''}.\n${writeDocument(smallest)}`;
    try {
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, text);
    } catch (error) {
      return refuse([`WM_ARGUMENT (rejected): ${describePath(out)} cannot be written: ${wordsOf(error)}. Name another file with --out.`]);
    }
    const loaded = loadScenario({ file: describePath(out), text: readFileSync(out, 'utf8') }, fleetLibrary);
    const proof = loaded.ok ? await this.#trials.playOne(loaded.value, true) : null;
    const proved = proof !== null && proof.verdict !== 'nondeterministic' && failsAlike(failure, proof);
    const [before, after] = [sizeOf(document, isFault), sizeOf(smallest, isFault)];
    const { runs } = this.#trials;
    if (this.#options.json === true) {
      const { goal, verdict, essence } = failure;
      const { recorded } = this.#wanted;
      const stoppedBy = this.#boundMet();
      const found = { schema: 1, scenario: out, seed, verdict, goal, essence, recorded, before, after, runs, stoppedBy, proved, reproduce };
      print(JSON.stringify(found, null, 2));
    } else if (this.#options.mute !== true) {
      say(`  after:  ${describeSize(after)}, found in ${runs} runs${proved ? ', and it fails alike when it is played twice more' : ''}`);
      const bound = this.#boundMet();
      if (bound !== null) say(`  stopped by ${bound}: what is left may not be the least there is.`);
      say(`  ${describePath(out)}`);
      say(`  reproduce: ${reproduce}`);
    }
    if (!proved) {
      refuse([
        `WM_BUG (bug): What is left does not fail alike when it is played again (${proof?.verdict ?? 'it is no scenario'}). Report this with ${describePath(out)}.`,
      ]);
      return EXIT_BUG;
    }
    return this.#interrupted ? EXIT_INTERRUPTED : 0;
  }
}

function outputOf(name: string, options: ShrinkVerbOptions): string {
  if (options.out !== undefined) return resolve(options.out);
  return options.keep === true
    ? join(REGRESSIONS, `${name}${SCENARIO_SUFFIX}`)
    : resolve('reports', 'out', 'shrink', `${name}${SCENARIO_SUFFIX}`);
}

function wantedOf(named: string, { seed, permute }: ShrinkVerbOptions): Wanted | Refusal {
  if (existsSync(named) && statSync(named).isDirectory()) return wantedIn(named, seed);
  // What `replay` and `diff` take: the record stands beside the summary.
  if (named.endsWith('.jsonl') && existsSync(named)) return wantedIn(dirname(named), seed);
  const found = findScenario(named);
  if (!found.ok) return { refusal: describeError(found.error) };
  const [, commented, isPermuted] = /^#.*\bSeed (0x[0-9a-f]+)( --permute)?/m.exec(readFileSync(found.value, 'utf8')) ?? [];
  const told = seed ?? commented;
  if (told !== undefined)
    return { file: found.value, seed: told, permute: permute === true || (isPermuted !== undefined && told === commented), recorded: null };
  return { refusal: `WM_ARGUMENT (rejected): ${describePath(found.value)} names no seed that fails. Name one with --seed.` };
}

/** In the summary of `run` or of `fuzz`; both tell a failure by the command that plays it again. */
function wantedIn(folder: string, seed: string | undefined): Wanted | Refusal {
  type Told = Recorded & Partial<Pick<RunSummary, 'goals'>> & { readonly seed: string; readonly reproduce: string };
  const file = join(folder, 'summary.json');
  if (!existsSync(file))
    return { refusal: `WM_ARGUMENT (rejected): ${describePath(folder)} holds no summary.json. Name the folder of a \`run\` or \`fuzz\`.` };
  const summary = JSON.parse(readFileSync(file, 'utf8')) as { readonly runs?: unknown; readonly failures?: readonly Told[] };
  const told = summary.failures ?? (Array.isArray(summary.runs) ? (summary.runs as readonly Told[]) : []);
  const failed = told.find((run) => !['held', 'cancelled', 'rejected'].includes(run.verdict) && (seed === undefined || run.seed === seed));
  const name = failed === undefined ? undefined : /^npx wasmmatrix run ('(?:[^']|'\\'')*'|\S+) --seed/.exec(failed.reproduce)?.[1];
  if (failed === undefined || name === undefined)
    return {
      refusal: `WM_ARGUMENT (rejected): No run of ${describePath(folder)} failed in the simulator${seed === undefined ? '' : ` with seed ${seed}`}. There is nothing to make smaller.`,
    };
  if (failed.verdict === 'nondeterministic')
    return {
      isTold: true,
      refusal: `WM_ARGUMENT (rejected): The run of ${describePath(folder)} with seed ${failed.seed} is nondeterministic: two plays of it differ, and there is no failure that a smaller one could share. \`${failed.reproduce}\` says where they part.`,
    };
  const found = findScenario(name.startsWith("'") ? name.slice(1, -1).replaceAll("'\\''", "'") : name);
  return found.ok
    ? { file: found.value, seed: failed.seed, permute: / --permute\b/.test(failed.reproduce), recorded: recordedOf(failed) }
    : { refusal: describeError(found.error) };
}

/** `run` tells all goals of a run, `fuzz` the one that was broken. */
function recordedOf({ verdict, goal, goals }: Recorded & Partial<Pick<RunSummary, 'goals'>>): Recorded {
  return { verdict, goal: goals === undefined ? goal : (brokenGoal({ goals })?.name ?? null) };
}

function isAsRecorded({ verdict, goal }: Recorded, failure: Failure): boolean {
  return verdict === failure.verdict && (goal === null || failure.goal === null || goal === failure.goal);
}

function describeRecorded({ verdict, goal }: Recorded): string {
  return goal === null ? verdict : `${verdict}: ${goal}`;
}
