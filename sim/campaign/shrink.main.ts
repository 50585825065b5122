// `wasmmatrix shrink`: makes the scenario of a failed run smaller while it fails with the same goal, proves at the end that what
// is left still does, and writes it as a scenario file. A composition root.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { loadScenario, nameOf, SCENARIO_SUFFIX } from '../../scenarios/load.ts';
import type { RunSummary } from '../../scenarios/record.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { describeError } from '../../system/domain/outcome.ts';
import { count, positive, seedOf } from './arguments.main.ts';
import { runCampaign, type PlayJob } from './campaign.ts';
import { describePath, findScenario, fleetLibrary, quotePath } from './library.main.ts';
import { wordsOf } from './output.main.ts';
import { prepare } from './prepare.main.ts';
import { readDocument, sizeOf, without, writeDocument, type Document } from './shrink/document.ts';
import { describeFailure, failsAlike, failureOf, type Failure } from './shrink/failure.ts';
import { isFault, passesFor } from './shrink/passes.ts';
import { shrink } from './shrink/shrink.ts';
import { createProgressLine, EXIT_INTERRUPTED, EXIT_REJECTED, onInterrupt, print, refuse, say } from './teller.main.ts';

const PLAYER = new URL('./scenario.main.ts', import.meta.url);
const REGRESSIONS = fileURLToPath(new URL('../../scenarios/regressions/', import.meta.url));
const RUNS = 600;
const RUNS_MAX = 100_000;
const MINUTES = 5;
const MS_PER_MINUTE = 60_000;
const EXIT_BUG = 70;

type ShrinkVerbOptions = {
  readonly seed?: string;
  readonly runs?: number;
  readonly minutes?: number;
  readonly jobs?: number;
  readonly out?: string;
  readonly keep?: true;
  readonly json?: true;
  readonly quiet?: true;
};

/** A failed run: its scenario's file and its seed. */
type Wanted = { readonly file: string; readonly seed: string };

export function addShrink(program: Command): void {
  program
    .command('shrink')
    .summary('make the scenario of a failed run as small as it gets')
    .description(
      'Takes faults, deployments, events, commands, nodes, zones, time and options away from the scenario of a failed run, as long as it fails with the same goal or invariant in the simulator. What is left is played twice more, and written as a scenario file.',
    )
    .argument('<failure>', 'the folder of a `run` or `fuzz` that failed, or a scenario: its name or file')
    .option(
      '--seed <seed>',
      'the seed that fails (default: of a folder the first that failed, of a file the one that its comment names)',
      seedOf,
    )
    .option('--runs <n>', `play at most so many candidates (default: ${RUNS})`, count(RUNS_MAX))
    .option('--minutes <n>', `look for at most so long (default: ${MINUTES})`, positive)
    .option('--jobs <n>', 'worker threads (default: 1)', count(256))
    .option('--out <file>', 'where the scenario goes (default: reports/out/shrink/<name>.scenario.yaml)')
    .option('--keep', 'write it to scenarios/regressions, which the tests play')
    .option('--json', 'print what came out, and nothing else, as JSON on stdout')
    .option('-q, --quiet', 'no progress')
    .action(async (failure: string, options: ShrinkVerbOptions) => {
      process.exitCode = await shrinkVerb(failure, options);
    });
}

async function shrinkVerb(named: string, options: ShrinkVerbOptions): Promise<number> {
  const wanted = wantedOf(named, options.seed);
  if ('refusal' in wanted) return refuse([wanted.refusal]);
  const text = readFileSync(wanted.file, 'utf8');
  const loaded = loadScenario({ file: describePath(wanted.file), text }, fleetLibrary);
  if (!loaded.ok) return refuse([describeError(loaded.error)]);
  const out = outputOf(nameOf(wanted.file), options);
  if (options.keep === true && existsSync(out))
    return refuse([`WM_ARGUMENT (rejected): ${describePath(out)} exists already. Rename it, or write elsewhere with --out.`]);
  const settings = await prepare(options.quiet === true);
  if (settings === null) return EXIT_REJECTED;
  const shrinking = new Shrinking(wanted.seed, settings, options);
  const [original] = await shrinking.play([loaded.value]);
  const failure = original === undefined ? null : failureOf(original);
  if (original === undefined || failure === null)
    return refuse([
      `WM_ARGUMENT (rejected): ${describePath(wanted.file)} does not fail with seed ${wanted.seed}: ${original?.verdict ?? 'it was stopped'}. Name a seed that fails with --seed.`,
    ]);
  const document = readDocument(text, fleetLibrary);
  if (options.json !== true) {
    say(`${describePath(wanted.file)} with seed ${wanted.seed}: ${describeFailure(failure)}`);
    say(`  before: ${sizeOf(document, isFault)}`);
  }
  return shrinking.shrink(document, failure, out);
}

class Shrinking {
  readonly #seed: string;
  readonly #settings: unknown;
  readonly #options: ShrinkVerbOptions;
  readonly #line;
  readonly #over = new AbortController();
  #runs = 0;
  #needsFaults = false;
  #interrupted = false;

  constructor(seed: string, settings: unknown, options: ShrinkVerbOptions) {
    this.#seed = seed;
    this.#settings = settings;
    this.#options = options;
    this.#line = createProgressLine(options.quiet === true || options.json === true);
  }

  async shrink(document: Document, failure: Failure, out: string): Promise<number> {
    const runsMax = this.#options.runs ?? RUNS;
    const msMax = (this.#options.minutes ?? MINUTES) * MS_PER_MINUTE;
    const startMs = performance.now();
    const timer = setTimeout(() => this.#over.abort(), msMax);
    const release = onInterrupt((again) => {
      if (again) process.exit(EXIT_INTERRUPTED);
      this.#interrupted = true;
      this.#line.clear();
      process.stderr.write('Stopping; what is smallest so far is proved and written. Interrupt again to stop at once.\n');
      this.#over.abort();
    });
    let now = `looking, from ${sizeOf(document, isFault)}`;
    const draw = (): void => {
      const leftS = Math.ceil(Math.max(0, msMax - (performance.now() - startMs)) / 1_000);
      this.#line.draw(() => `${this.#runs} of at most ${runsMax} runs, at most ${leftS} s left; ${now}`);
    };
    // What fails only because of its faults must go on doing so: a scenario that asks for what it has taken away fails as well.
    this.#needsFaults = !(await this.#failsWithoutFaults(writeDocument(document), failure));
    const smallest = await shrink(document, {
      passes: passesFor(failure),
      isOver: () => this.#over.signal.aborted || this.#runs >= runsMax,
      firstFailing: (texts) => this.#firstFailing(texts, failure, draw),
      onSmaller: (smaller, pass) => {
        now = `${pass}: ${sizeOf(smaller, isFault)}`;
        draw();
      },
    }).finally(() => {
      clearTimeout(timer);
      release();
      this.#line.clear();
    });
    return this.#conclude(smallest, failure, out);
  }

  /** Runs of these scenarios with the seed, in order, as far as they ended. */
  async play(
    scenarios: readonly Scenario[],
    verify = false,
    last: (run: RunSummary) => boolean = () => false,
    onProgress = (): void => {},
  ): Promise<readonly RunSummary[]> {
    const enough = new AbortController();
    const stop = (): void => enough.abort();
    if (!verify) this.#over.signal.addEventListener('abort', stop);
    if (!verify && this.#over.signal.aborted) stop();
    const jobs = scenarios.map((scenario): PlayJob => ({ scenario, seed: this.#seed, verify, recordFile: null, reproduce: '' }));
    const runs = await runCampaign({
      jobs,
      player: PLAYER,
      settings: this.#settings,
      workersMax: this.#options.jobs ?? 1,
      signal: enough.signal,
      onProgress,
      onResult: (run) => {
        if (run.verdict !== 'cancelled') this.#runs += 1;
        if (last(run)) enough.abort();
      },
    });
    this.#over.signal.removeEventListener('abort', stop);
    return runs;
  }

  async #firstFailing(texts: readonly string[], failure: Failure, onProgress: () => void): Promise<number | null> {
    // What is no scenario any more, because something else refers to what was taken away, costs no run.
    const candidates = texts.flatMap((text, index) => {
      const loaded = loadScenario({ file: `candidate${SCENARIO_SUFFIX}`, text }, fleetLibrary);
      return loaded.ok ? [{ index, scenario: loaded.value }] : [];
    });
    for (let from = 0; from < candidates.length;) {
      const left = candidates.slice(from);
      const scenarios = left.map(({ scenario }) => scenario);
      const runs = await this.play(scenarios, false, (run) => failsAlike(failure, run), onProgress);
      const found = runs.findIndex((run) => failsAlike(failure, run));
      const index = left[found]?.index;
      if (index === undefined) return null;
      if (!this.#needsFaults || !(await this.#failsWithoutFaults(texts[index] ?? '', failure))) return index;
      from += found + 1;
    }
    return null;
  }

  async #failsWithoutFaults(text: string, failure: Failure): Promise<boolean> {
    const calm = without(readDocument(text, fleetLibrary), 'steps', isFault);
    const steps = calm.steps.length > 0 ? calm.steps : [{ key: -1, fields: { at: '0s', push: 'echo' } }];
    const loaded = loadScenario({ file: `calm${SCENARIO_SUFFIX}`, text: writeDocument({ ...calm, steps }) }, fleetLibrary);
    if (!loaded.ok) return true;
    const [run] = await this.play([loaded.value]);
    return run === undefined || failsAlike(failure, run);
  }

  async #conclude(smallest: Document, failure: Failure, out: string): Promise<number> {
    const reproduce = `npx wasmmatrix run ${quotePath(describePath(out))} --seed ${this.#seed}`;
    const text = `# What is left of a run that failed (${describeFailure(failure)}), made small by \`wasmmatrix shrink\`. Seed ${this.#seed}.\n${writeDocument(smallest)}`;
    try {
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, text);
    } catch (error) {
      return refuse([`WM_ARGUMENT (rejected): ${describePath(out)} cannot be written: ${wordsOf(error)}. Name another file with --out.`]);
    }
    const loaded = loadScenario({ file: describePath(out), text: readFileSync(out, 'utf8') }, fleetLibrary);
    const [proof] = loaded.ok ? await this.play([loaded.value], true) : [];
    const proved = proof !== undefined && proof.verdict !== 'nondeterministic' && failsAlike(failure, proof);
    const size = sizeOf(smallest, isFault);
    if (this.#options.json === true) {
      const { goal, verdict, essence } = failure;
      print(
        JSON.stringify(
          { schema: 1, scenario: out, seed: this.#seed, verdict, goal, essence, size, runs: this.#runs, proved, reproduce },
          null,
          2,
        ),
      );
    } else {
      say(`  after:  ${size}, found in ${this.#runs} runs${proved ? ', and it fails alike when it is played twice more' : ''}`);
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

function wantedOf(named: string, seed: string | undefined): Wanted | { readonly refusal: string } {
  if (existsSync(named) && statSync(named).isDirectory()) return wantedIn(named, seed);
  const found = findScenario(named);
  if (!found.ok) return { refusal: describeError(found.error) };
  const told = seed ?? /^#.*\bSeed (0x[0-9a-f]+)/m.exec(readFileSync(found.value, 'utf8'))?.[1];
  if (told !== undefined) return { file: found.value, seed: told };
  return { refusal: `WM_ARGUMENT (rejected): ${describePath(found.value)} names no seed that fails. Name one with --seed.` };
}

/** In the summary of `run` or of `fuzz`; both tell a failure by the command that plays it again. */
function wantedIn(folder: string, seed: string | undefined): Wanted | { readonly refusal: string } {
  type Told = { readonly seed: string; readonly verdict: string; readonly reproduce: string };
  const file = join(folder, 'summary.json');
  if (!existsSync(file))
    return { refusal: `WM_ARGUMENT (rejected): ${describePath(folder)} holds no summary.json. Name the folder of a \`run\` or \`fuzz\`.` };
  const summary = JSON.parse(readFileSync(file, 'utf8')) as { readonly runs?: unknown; readonly failures?: readonly Told[] };
  const told = summary.failures ?? (Array.isArray(summary.runs) ? (summary.runs as readonly Told[]) : []);
  const failed = told.find((run) => !['held', 'cancelled'].includes(run.verdict) && (seed === undefined || run.seed === seed));
  const name = failed === undefined ? undefined : /^npx wasmmatrix run ('(?:[^']|'\\'')*'|\S+) --seed/.exec(failed.reproduce)?.[1];
  if (failed === undefined || name === undefined)
    return {
      refusal: `WM_ARGUMENT (rejected): No run of ${describePath(folder)} failed in the simulator${seed === undefined ? '' : ` with seed ${seed}`}. There is nothing to make smaller.`,
    };
  const found = findScenario(name.startsWith("'") ? name.slice(1, -1).replaceAll("'\\''", "'") : name);
  return found.ok ? { file: found.value, seed: failed.seed } : { refusal: describeError(found.error) };
}
