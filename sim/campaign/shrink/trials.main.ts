// Plays the candidates of a shrink, one seed for all of them, and says which is the first that fails as the original does. Its
// threads live as long as it does. What would fail whatever the platform does is no smaller case of a bug: a candidate must hold
// in the checkout that it is compared with, or, without one, hold without its faults where the original did.
import { loadScenario, SCENARIO_SUFFIX } from '../../../scenarios/load.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { Crew, type PlayJob } from '../campaign.ts';
import { fleetLibrary } from '../library.main.ts';
import type { ThreadsOptions } from '../threads.ts';
import { readDocument, without, writeDocument } from './document.ts';
import { failsAlike, type Failure } from './failure.ts';
import { isFault } from './passes.ts';
import type { Failing } from './shrink.ts';

const MICROS_PER_MS = 1_000;

export type TrialsOptions = {
  readonly seed: string;
  /** Events of one instant in an order drawn from the seed, as the run that failed had them. */
  readonly permute: boolean;
  readonly here: ThreadsOptions;
  /** Another checkout, in which what is left must hold; null: none. */
  readonly against: ThreadsOptions | null;
  readonly workersMax: number;
  /** Ends the run under way. */
  readonly over: AbortSignal;
  readonly onProgress: () => void;
};

export class Trials {
  /** Runs that were played, here and there. */
  runs = 0;
  readonly #options: TrialsOptions;
  readonly #here: Crew;
  readonly #against: Crew | null;
  #needsFaults = false;
  /** Whether it fails without its faults, by the text without them. Bound: one for each trial. */
  readonly #calm = new Map<string, boolean>();

  constructor(options: TrialsOptions) {
    this.#options = options;
    this.#here = new Crew(options.here);
    this.#against = options.against === null ? null : new Crew(options.against);
  }

  close(): Promise<unknown> {
    return Promise.all([this.#here.close(), this.#against?.close()]);
  }

  async playOne(scenario: Scenario, verify = false): Promise<RunSummary | null> {
    const [run] = await this.#play(this.#here, [scenario], { verify });
    return run ?? null;
  }

  /** What the other checkout says of it; null without one. */
  async playThere(scenario: Scenario): Promise<RunSummary | null> {
    const [run] = this.#against === null ? [] : await this.#play(this.#against, [scenario]);
    return run ?? null;
  }

  /** What fails only because of its faults must go on doing so. False: nothing shows of what is left that it could hold at all. */
  async begin(text: string, failure: Failure): Promise<boolean> {
    if (this.#against !== null) return true;
    this.#needsFaults = !(await this.#failsWithoutFaults(text, failure));
    return this.#needsFaults;
  }

  async firstFailing(texts: readonly string[], failure: Failure): Promise<Failing | null> {
    // What is no scenario any more, because something else refers to what was taken away, costs no run.
    const candidates = texts.flatMap((text, index) => {
      const loaded = loadScenario({ file: `candidate${SCENARIO_SUFFIX}`, text }, fleetLibrary);
      return loaded.ok ? [{ index, text, scenario: loaded.value }] : [];
    });
    for (let from = 0; from < candidates.length;) {
      const left = candidates.slice(from);
      const scenarios = left.map(({ scenario }) => scenario);
      const runs = await this.#play(this.#here, scenarios, { last: (run) => failsAlike(failure, run) });
      const found = runs.findIndex((run) => failsAlike(failure, run));
      const [run, candidate] = [runs[found], left[found]];
      if (run === undefined || candidate === undefined) return null;
      if (await this.#counts(candidate, failure)) return { index: candidate.index, endMs: Math.ceil(run.simulatedMicros / MICROS_PER_MS) };
      from += found + 1;
    }
    return null;
  }

  async #counts({ text, scenario }: { readonly text: string; readonly scenario: Scenario }, failure: Failure): Promise<boolean> {
    if (this.#against !== null) return (await this.playThere(scenario))?.verdict === 'held';
    return !this.#needsFaults || !(await this.#failsWithoutFaults(text, failure));
  }

  async #failsWithoutFaults(text: string, failure: Failure): Promise<boolean> {
    const document = without(readDocument(text, fleetLibrary), 'steps', isFault);
    const steps = document.steps.length > 0 ? document.steps : [{ key: -1, fields: { at: '0s', push: 'echo' } }];
    const calm = writeDocument({ ...document, steps });
    const known = this.#calm.get(calm);
    if (known !== undefined) return known;
    const loaded = loadScenario({ file: `calm${SCENARIO_SUFFIX}`, text: calm }, fleetLibrary);
    const run = loaded.ok ? await this.playOne(loaded.value) : null;
    const fails = run === null || run.verdict === 'cancelled' || failsAlike(failure, run);
    this.#calm.set(calm, fails);
    return fails;
  }

  /** Runs of these scenarios with the seed, in order, as far as they ended. A verifying play is the last, and no bound stops it. */
  async #play(
    crew: Crew,
    scenarios: readonly Scenario[],
    { verify = false, last = () => false }: { readonly verify?: boolean; readonly last?: (run: RunSummary) => boolean } = {},
  ): Promise<readonly RunSummary[]> {
    const { seed, permute, over, workersMax, onProgress } = this.#options;
    const enough = new AbortController();
    const jobs = scenarios.map((scenario): PlayJob => ({ scenario, seed, verify, permute, recordFile: null, reproduce: '' }));
    return crew.play({
      jobs,
      workersMax,
      signal: verify ? enough.signal : AbortSignal.any([enough.signal, over]),
      onProgress,
      onResult: (run) => {
        if (run.verdict !== 'cancelled') this.runs += 1;
        if (last(run)) enough.abort();
      },
    });
  }
}
