// Plays one scenario on a testbed and judges it: boots, works through steps and workload, heals, waits for quiet, looks
// once more at everything, stops. It knows the Testbed interface and records, no world; the same code runs in all of them.
// Surprising: it is the driver inside the run, so its waits are waits of the run's own clock.
import { describeError, type Outcome } from '../system/domain/outcome.ts';
import { SOURCE_HEADER, TRIGGER_HEADER, type BusEvent } from '../system/domain/event.ts';
import type { Course } from './course.ts';
import { createGoals, createInvariants, Losses, Repetitions, type Goal } from './goals/goals.ts';
import { History } from './history.ts';
import { inspect } from './inspection.ts';
import { Operator } from './operator.ts';
import { publishWorkload } from './publisher.ts';
import type { GoalResult, RunRecord, Verdict } from './record.ts';
import { featuresOf } from './fleet.ts';
import type { FaultStep, OperationSpec, Scenario, StepSpec } from './scenario.ts';
import type { Testbed } from './testbed.ts';
import { STEPS_STREAM, timesOf } from './times.ts';

/** An early end is noticed after so long at most. */
const NOTICE_MICROS = 1_000_000;

export type PlayOptions = {
  /** Every record, in order, as it is written. */
  readonly onRecord: (record: RunRecord) => void;
  /** Asked between steps: true ends the run as cancelled. */
  readonly cancelled: () => boolean;
  /** Ends the run at the first goal that is broken for good, rather than playing it to its end. */
  readonly stopWhenBroken: boolean;
};

export type PlayResult = {
  readonly verdict: Verdict;
  readonly goals: readonly GoalResult[];
  readonly trouble: string | null;
  readonly records: number;
  readonly lastRecords: readonly RunRecord[];
  readonly simulatedMicros: number;
};

export async function playScenario(testbed: Testbed, scenario: Scenario, options: PlayOptions): Promise<PlayResult> {
  const unsupported = lackingOf(testbed, scenario);
  if (unsupported !== null) return stillborn('rejected', unsupported);
  const resolved = resolveCapabilities(testbed, scenario);
  if (!resolved.ok) return stillborn('rejected', describeError(resolved.error));
  const play = new Play(testbed, resolved.value, options);
  return play.run();
}

function stillborn(verdict: Verdict, trouble: string): PlayResult {
  return { verdict, goals: [], trouble, records: 0, lastRecords: [], simulatedMicros: 0 };
}

/** What a world can produce. */
export type Abilities = Pick<Testbed, 'world' | 'faultKinds' | 'fleetFeatures'>;

/** What a scenario asks for that a world cannot produce, as a refusal; null: there is nothing. */
export function lackingOf(abilities: Abilities, scenario: Scenario): string | null {
  return faultsLacking(abilities, scenario) ?? featuresLacking(abilities, scenario);
}

function faultsLacking(testbed: Abilities, scenario: Scenario): string | null {
  for (const step of scenario.steps) {
    if (step.do === 'fault' && !testbed.faultKinds.includes(step.fault.kind)) {
      return `WM_FAULT_UNSUPPORTED (rejected): the ${testbed.world} world cannot produce the fault '${step.fault.kind}' that ${scenario.name} asks for. Choose another target, or remove the fault.`;
    }
  }
  return null;
}

function featuresLacking(testbed: Abilities, { name, fleet }: Scenario): string | null {
  const lacking = featuresOf(fleet).find((feature) => !testbed.fleetFeatures.includes(feature));
  if (lacking === undefined) return null;
  return `WM_FAULT_UNSUPPORTED (rejected): the ${testbed.world} world cannot produce '${lacking}', which the fleet of ${name} asks for. Choose another target, or another fleet.`;
}

/** Goals compare effects with capabilities, so a push that takes its example's own gets them written out. */
function resolveCapabilities(testbed: Testbed, scenario: Scenario): Outcome<Scenario> {
  const steps: StepSpec[] = [];
  for (const step of scenario.steps) {
    if (step.do !== 'push' || step.capabilities !== null) {
      steps.push(step);
      continue;
    }
    const example = testbed.exampleModule(step.example, 0, null);
    if (!example.ok) return example;
    steps.push({ ...step, capabilities: example.value.capabilities });
  }
  return { ok: true, value: { ...scenario, steps } };
}

class Play {
  readonly #testbed: Testbed;
  readonly #scenario: Scenario;
  readonly #options: PlayOptions;
  readonly #goals: readonly Goal[];
  readonly #history = new History();
  readonly #repetitions = new Repetitions();
  readonly #losses = new Losses();
  readonly #course: Course;
  readonly #operator: Operator;
  #records = 0;
  #startMicros = 0;
  #trouble: string | null = null;
  #worked = false;
  #open = true;
  /** What went before the first breach; null while nothing is broken for good. */
  #brokenAt: History | null = null;

  constructor(testbed: Testbed, scenario: Scenario, options: PlayOptions) {
    this.#testbed = testbed;
    this.#scenario = scenario;
    this.#options = options;
    this.#goals = [...createInvariants(scenario, testbed.slackMicros), ...createGoals(scenario, testbed.slackMicros)];
    this.#course = {
      testbed,
      scenario,
      isOver: () => this.#isOver(),
      hasWorked: () => this.#worked,
      hasLost: () => this.#losses.any,
      stopWith: (trouble) => (this.#trouble ??= trouble),
      sleepUntil: (micros) => this.#sleepUntil(micros),
    };
    this.#operator = new Operator(this.#course);
  }

  async run(): Promise<PlayResult> {
    const { clock } = this.#testbed;
    this.#testbed.onRecord((record) => this.#observe(record));
    this.#startMicros = clock.monotonicMicros();
    this.#testbed.record('run.started', {
      scenario: this.#scenario.name,
      world: this.#testbed.world,
      durationMs: this.#scenario.durationMicros / 1_000,
    });
    this.#testbed.record('run.phase', { phase: 'start' });
    const started = await this.#testbed.start(this.#scenario);
    if (!started.ok) this.#course.stopWith(`The fleet did not start: ${describeError(started.error)}`);
    if (!this.#isOver()) await this.#prepare();
    if (!this.#isOver()) {
      this.#testbed.record('run.phase', { phase: 'work' });
      const { faults, operations } = this.#timedSteps();
      await Promise.all([
        // A command that is under way when its time is over may need what is broken: it goes on in a world that is healed.
        Promise.all([this.#injectAll(faults), this.#sleepUntil(this.#scenario.durationMicros)]).then(() => {
          this.#worked = true;
          this.#testbed.healAll();
        }),
        this.#eachInTime(operations, ({ step, i }) => this.#operator.operate(step, i)),
        ...this.#scenario.workload.map((workload) => publishWorkload(this.#course, workload)),
      ]);
    }
    if (!this.#isOver()) {
      // From here on nothing is asked for any more: what has to stand again has the whole of the quiet phase.
      this.#testbed.record('run.phase', { phase: 'quiet' });
      await this.#sleepUntil(clock.monotonicMicros() - this.#startMicros + this.#scenario.quietMicros);
    }
    if (!this.#isOver()) await inspect(this.#course);
    this.#testbed.record('run.phase', { phase: 'end' });
    await this.#testbed.settle();
    const micros = clock.monotonicMicros() - this.#startMicros;
    this.#open = false;
    const goals = this.#goals.map((goal) => goal.finish({ micros }));
    await this.#testbed.stop();
    return this.#judge(goals, micros);
  }

  #observe(record: RunRecord): void {
    this.#records += 1;
    this.#options.onRecord(record);
    if (!this.#open) return;
    this.#history.add(record);
    this.#losses.observe(record);
    if (this.#brokenAt !== null || this.#repetitions.has(record)) return;
    for (const goal of this.#goals) goal.observe(record);
    if (this.#goals.some((goal) => goal.broken)) this.#brokenAt = this.#history.snapshot();
  }

  #isOver(): boolean {
    return this.#trouble !== null || this.#options.cancelled() || (this.#options.stopWhenBroken && this.#brokenAt !== null);
  }

  /** In parts, so that an early end is noticed. */
  async #sleepUntil(micros: number): Promise<void> {
    const { clock } = this.#testbed;
    for (;;) {
      const left = this.#startMicros + micros - clock.monotonicMicros();
      if (left <= 0 || this.#isOver()) return;
      await clock.sleep(Math.min(left, NOTICE_MICROS));
    }
  }

  async #prepare(): Promise<void> {
    await this.#operator.trust();
    for (const filter of this.#scenario.observe) {
      const subscribed = await this.#testbed.subscribe(filter, (event) => this.#recordResult(event));
      if (!subscribed.ok) return this.#course.stopWith(`The subscription to ${filter} failed: ${describeError(subscribed.error)}`);
    }
  }

  #recordResult(event: BusEvent): void {
    if (!this.#open) return;
    this.#testbed.record('workload.result', {
      event: event.id,
      subject: event.subject,
      source: event.headers[SOURCE_HEADER] ?? '',
      trigger: event.headers[TRIGGER_HEADER] ?? '',
      data: new TextDecoder().decode(event.data.subarray(0, 200)),
    });
  }

  /** In order of time. A fault keeps its time while a command is under way, which is when it hurts; commands wait for each other. */
  #timedSteps(): { readonly faults: readonly Timed<FaultStep>[]; readonly operations: readonly Timed<OperationSpec>[] } {
    const times = timesOf(this.#scenario.steps, this.#testbed.random.stream(STEPS_STREAM));
    const timed = this.#scenario.steps.map((step, i) => ({ i, step, micros: times[i] ?? 0 }));
    timed.sort((a, b) => a.micros - b.micros || a.i - b.i);
    return { faults: timed.filter(isFault), operations: timed.filter(isOperation) };
  }

  #injectAll(faults: readonly Timed<FaultStep>[]): Promise<void> {
    return this.#eachInTime(faults, async ({ step, i }) => {
      const begun = this.#testbed.inject(`fault-${i + 1}`, step.fault);
      if (!begun.ok) this.#course.stopWith(`The fault '${step.fault.kind}' could not be produced: ${describeError(begun.error)}`);
    });
  }

  async #eachInTime<T extends Timed<StepSpec>>(timed: readonly T[], act: (timed: T) => Promise<void>): Promise<void> {
    for (const next of timed) {
      await this.#sleepUntil(next.micros);
      if (this.#isOver()) return;
      await act(next);
    }
  }

  #judge(goals: readonly GoalResult[], simulatedMicros: number): PlayResult {
    const broken = goals.filter((goal) => !goal.held);
    const first = broken.find((goal) => !goal.unconverged) ?? broken[0];
    const verdict: Verdict = this.#options.cancelled()
      ? 'cancelled'
      : this.#trouble !== null || first?.unconverged === false
        ? 'violated'
        : first !== undefined
          ? 'unconverged'
          : 'held';
    const last = this.#brokenAt ?? this.#history;
    // A run that ended early did not give its other goals their time: only what is broken for good is told.
    const told =
      this.#brokenAt === null && this.#trouble === null
        ? goals
        : goals.map((goal) => (goal.unconverged ? { ...goal, held: true, because: '' } : goal));
    return {
      verdict,
      goals: told,
      trouble: this.#trouble,
      records: this.#records,
      lastRecords: verdict === 'held' ? [] : last.of(first?.machine ?? null),
      simulatedMicros,
    };
  }
}

type Timed<Step> = { readonly i: number; readonly step: Step; readonly micros: number };

function isFault(timed: Timed<StepSpec>): timed is Timed<FaultStep> {
  return timed.step.do === 'fault';
}

function isOperation(timed: Timed<StepSpec>): timed is Timed<OperationSpec> {
  return timed.step.do !== 'fault';
}
