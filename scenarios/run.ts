// Plays one scenario on a testbed and judges it: boots, works through steps and workload, heals, waits for quiet, looks
// once more at everything, stops. It knows the Testbed interface and records, no world; the same code runs in all of them.
// Surprising: it is the driver inside the run, so its waits are waits of the run's own clock.
import { describeError, type Outcome, type WmError } from '../system/domain/outcome.ts';
import type { ModuleManifest, Signature } from '../system/domain/module.ts';
import { manifestText } from '../system/domain/module.ts';
import type { CorrelationId, EventId } from '../system/domain/identifiers.ts';
import type { OperatorCommand } from '../system/domain/operator.ts';
import type { BusEvent } from '../system/domain/event.ts';
import { createGoals, createInvariants, Repetitions, type Goal } from './goals/goals.ts';
import type { GoalResult, RunRecord, Verdict } from './record.ts';
import type { Scenario, StepSpec, WorkloadSpec } from './scenario.ts';
import type { Testbed } from './testbed.ts';

/** Bound: how long an operator waits for the answer to one command, reconnecting as needed. */
const COMMAND_DEADLINE_MICROS = 30_000_000;
const PUBLISH_DEADLINE_MICROS = 2_000_000;
/** Pause before a refused or failed publication is repeated under the same event id. */
const PUBLISH_AGAIN_MICROS = 200_000;
/** Bound: records kept for the explanation of a failure, of the machine concerned and of all. */
const LAST_RECORDS_PER_MACHINE = 12;
const LAST_RECORDS_OVERALL = 40;

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
  const unsupported = faultsLacking(testbed, scenario);
  if (unsupported !== null) return stillborn('rejected', unsupported);
  const resolved = resolveCapabilities(testbed, scenario);
  if (!resolved.ok) return stillborn('rejected', describeError(resolved.error));
  const play = new Play(testbed, resolved.value, options);
  return play.run();
}

function stillborn(verdict: Verdict, trouble: string): PlayResult {
  return { verdict, goals: [], trouble, records: 0, lastRecords: [], simulatedMicros: 0 };
}

function faultsLacking(testbed: Testbed, scenario: Scenario): string | null {
  for (const step of scenario.steps) {
    if (step.do === 'fault' && !testbed.faultKinds.includes(step.fault.kind)) {
      return `WM_FAULT_UNSUPPORTED (rejected): the ${testbed.world} world cannot produce the fault '${step.fault.kind}' that ${scenario.name} asks for. Choose another target, or remove the fault.`;
    }
  }
  return null;
}

/** Goals compare effects with capabilities, so a push that takes its example's own gets them written out. */
function resolveCapabilities(testbed: Testbed, scenario: Scenario): Outcome<Scenario> {
  const steps: StepSpec[] = [];
  for (const step of scenario.steps) {
    if (step.do !== 'push' || step.capabilities !== null) {
      steps.push(step);
      continue;
    }
    const example = testbed.exampleModule(step.example, 0);
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
  readonly #lastOf = new Map<string, RunRecord[]>();
  readonly #last: RunRecord[] = [];
  readonly #repetitions = new Repetitions();
  readonly #pushes = new Map<string, number>();
  #records = 0;
  #startMicros = 0;
  #trouble: string | null = null;
  #commands = 0;
  #open = true;

  constructor(testbed: Testbed, scenario: Scenario, options: PlayOptions) {
    this.#testbed = testbed;
    this.#scenario = scenario;
    this.#options = options;
    this.#goals = [...createInvariants(scenario), ...createGoals(scenario)];
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
    if (!started.ok) this.#stopWith('The fleet did not start', started.error);
    if (!this.#over()) await this.#prepare();
    if (!this.#over()) {
      this.#testbed.record('run.phase', { phase: 'work' });
      await Promise.all([
        this.#runSteps(),
        ...this.#scenario.workload.map((workload) => this.#runWorkload(workload)),
        this.#sleepUntil(this.#scenario.durationMicros),
      ]);
    }
    this.#testbed.healAll();
    if (!this.#over()) {
      this.#testbed.record('run.phase', { phase: 'quiet' });
      await this.#sleepUntil(this.#scenario.durationMicros + this.#scenario.quietMicros);
    }
    if (!this.#over()) await this.#lookOnceMore();
    this.#testbed.record('run.phase', { phase: 'end' });
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
    keepLast(this.#last, record, LAST_RECORDS_OVERALL);
    for (const machine of machinesOf(record)) {
      const kept = this.#lastOf.get(machine) ?? [];
      keepLast(kept, record, LAST_RECORDS_PER_MACHINE);
      this.#lastOf.set(machine, kept);
    }
    if (this.#brokenAt === null && !this.#repetitions.has(record)) {
      for (const goal of this.#goals) goal.observe(record);
      if (this.#goals.some((goal) => goal.broken)) this.#brokenAt = this.#snapshotLast();
    }
  }

  #brokenAt: ReadonlyMap<string, readonly RunRecord[]> | null = null;

  #snapshotLast(): ReadonlyMap<string, readonly RunRecord[]> {
    const copy = new Map<string, readonly RunRecord[]>([['', [...this.#last]]]);
    for (const [machine, records] of this.#lastOf) copy.set(machine, [...records]);
    return copy;
  }

  #over(): boolean {
    return this.#trouble !== null || this.#options.cancelled() || (this.#options.stopWhenBroken && this.#brokenAt !== null);
  }

  #stopWith(what: string, error: WmError): void {
    this.#trouble ??= `${what}: ${describeError(error)}`;
  }

  /** Waits for a time counted from the start of the run, in parts, so that an early end is noticed. */
  async #sleepUntil(micros: number): Promise<void> {
    const { clock } = this.#testbed;
    for (;;) {
      const left = this.#startMicros + micros - clock.monotonicMicros();
      if (left <= 0 || this.#over()) return;
      await clock.sleep(Math.min(left, 1_000_000));
    }
  }

  async #prepare(): Promise<void> {
    const ops = await this.#testbed.keys.open('ops');
    if (!ops.ok) return this.#stopWith('The key of the operator could not be opened', ops.error);
    // A push that has to be refused may be one that asks for more than its signer may grant.
    const capabilities = this.#scenario.steps.flatMap((step) => (step.do === 'push' && step.accepted ? (step.capabilities ?? []) : []));
    const mayGrant = [...new Set(capabilities)].sort(compare);
    await this.#command({ kind: 'trust-add', publicKey: ops.value.publicKey, mayGrant }, true);
    for (const filter of this.#scenario.observe) {
      const subscribed = await this.#testbed.subscribe(filter, (event) => this.#recordResult(event));
      if (!subscribed.ok) return this.#stopWith(`The subscription to ${filter} failed`, subscribed.error);
    }
  }

  #recordResult(event: BusEvent): void {
    if (!this.#open) return;
    this.#testbed.record('workload.result', {
      event: event.id,
      subject: event.subject,
      source: event.headers['wm-source'] ?? '',
      trigger: event.headers['wm-trigger'] ?? '',
      data: new TextDecoder().decode(event.data.subarray(0, 200)),
    });
  }

  async #runSteps(): Promise<void> {
    const stream = this.#testbed.random.stream('steps');
    const timed = this.#scenario.steps.map((step, i) => ({
      i,
      step,
      micros: step.at.kind === 'at' ? step.at.micros : step.at.microsMin + stream.below(step.at.microsMax - step.at.microsMin + 1),
    }));
    timed.sort((a, b) => a.micros - b.micros || a.i - b.i);
    // A fault keeps its time while a command is under way, which is when it hurts; commands wait for each other.
    await Promise.all([
      this.#eachInTime(timed.filter(isFault), async ({ step, i }) => {
        const begun = this.#testbed.inject(`fault-${i + 1}`, step.fault);
        if (!begun.ok) this.#stopWith(`The fault '${step.fault.kind}' could not be produced`, begun.error);
      }),
      this.#eachInTime(timed.filter(isOperation), async ({ step }) => this.#operate(step)),
    ]);
  }

  async #eachInTime<T extends TimedStep>(timed: readonly T[], act: (timed: T) => Promise<void>): Promise<void> {
    for (const next of timed) {
      await this.#sleepUntil(next.micros);
      if (this.#over()) return;
      await act(next);
    }
  }

  async #operate(step: OperationSpec): Promise<void> {
    switch (step.do) {
      case 'push':
        return this.#push(step);
      case 'deploy':
        return this.#command({ kind: 'deployment-apply', spec: step.spec }, true);
      case 'trigger':
        return this.#command({ kind: 'trigger-apply', spec: step.spec }, true);
      case 'scale':
        return this.#command({ kind: 'deployment-scale', deployment: step.deployment, replicas: step.replicas }, true);
      case 'rollback':
        return this.#command({ kind: 'rollback', deployment: step.deployment, version: step.version }, true);
      case 'drain':
        return this.#command({ kind: 'node-drain', node: step.node }, true);
    }
  }

  async #push(step: Extract<StepSpec, { readonly do: 'push' }>): Promise<void> {
    const { keys } = this.#testbed;
    // By example, so that no two pushes of a run have the same bytes: a digest that was refused once does not come again.
    const variant = (this.#pushes.get(step.example) ?? 0) + 1;
    this.#pushes.set(step.example, variant);
    const example = this.#testbed.exampleModule(step.example, variant);
    if (!example.ok) return this.#stopWith(`Example ${step.example} is not there`, example.error);
    const manifest: ModuleManifest = {
      name: step.module,
      digest: keys.digest(example.value.bytes),
      capabilities: [...(step.capabilities ?? example.value.capabilities)].sort(compare),
      limits: {
        fuelMax: step.limits.fuelMax ?? example.value.fuelMax,
        memoryBytesMax: step.limits.memoryBytesMax ?? example.value.memoryBytesMax,
        outputBytesMax: step.limits.outputBytesMax ?? example.value.outputBytesMax,
      },
    };
    let signature: Signature | null = null;
    if (step.signing !== 'unsigned') {
      const person = step.signing === 'untrusted' ? 'stranger' : 'ops';
      const key = await keys.open(person);
      const bytes = await keys.sign(person, new TextEncoder().encode(manifestText(manifest)));
      if (!key.ok) return this.#stopWith(`The key ${person} could not be opened`, key.error);
      if (!bytes.ok) return this.#stopWith(`The key ${person} did not sign`, bytes.error);
      signature = { key: key.value.key, bytes: bytes.value };
    }
    // Tampered: the manifest is changed after it was signed, as an attacker who wants more fuel would.
    const sent: ModuleManifest =
      step.signing === 'tampered' ? { ...manifest, limits: { ...manifest.limits, fuelMax: manifest.limits.fuelMax + 1 } } : manifest;
    if (step.signing !== 'trusted') this.#testbed.record('forgery.made', { what: 'module', digest: manifest.digest, detail: step.signing });
    await this.#command({ kind: 'module-push', manifest: sent, signature, bytes: example.value.bytes }, step.accepted);
  }

  async #command(command: OperatorCommand, accepted: boolean): Promise<void> {
    const { clock } = this.#testbed;
    this.#commands += 1;
    const id = `command-${this.#commands}`;
    const since = clock.monotonicMicros();
    this.#testbed.record('operator.commanded', { id, command: command.kind });
    const reply = await this.#testbed.execute(id, command, { deadlineMicros: COMMAND_DEADLINE_MICROS });
    const refused = !reply.ok && reply.error.kind === 'rejected';
    this.#testbed.record('operator.answered', {
      id,
      command: command.kind,
      outcome: reply.ok ? 'done' : refused ? 'refused' : 'unknown',
      code: reply.ok ? null : reply.error.code,
      sequence: reply.ok ? reply.value.sequence : null,
      micros: clock.monotonicMicros() - since,
    });
    if (accepted && !reply.ok) this.#stopWith(`The command ${command.kind} was not carried out`, reply.error);
    if (!accepted && !refused) {
      this.#trouble ??= `The command ${command.kind} had to be refused, and was ${reply.ok ? 'accepted: a check on the controller is missing' : `answered with ${describeError(reply.error)}`}.`;
    }
  }

  async #runWorkload(workload: WorkloadSpec): Promise<void> {
    const stream = this.#testbed.random.stream(`workload ${workload.name}`);
    const published: Promise<void>[] = [];
    let micros = workload.startMicros;
    let n = 0;
    while (micros < workload.endMicros) {
      await this.#sleepUntil(micros);
      if (this.#over()) break;
      const events = workload.shape === 'burst' ? workload.burstEvents : 1;
      for (let i = 0; i < events; i++) {
        n += 1;
        published.push(
          this.#publish(
            workload,
            n,
            fillTemplate(workload, n, (bound) => stream.below(bound)),
          ),
        );
      }
      // Exponential distances without a logarithm: a geometric count of hundredths has the same mean and no memory.
      if (workload.shape === 'poisson') {
        let hundredths = 1;
        while (!stream.chance(1, 100) && hundredths < 1_500) hundredths += 1;
        micros += Math.max(1, Math.floor((workload.everyMicros * hundredths) / 100));
      } else micros += workload.everyMicros;
    }
    await Promise.all(published);
  }

  async #publish(workload: WorkloadSpec, n: number, data: string): Promise<void> {
    const { clock } = this.#testbed;
    const id = `${workload.name}-${n}`;
    const event: BusEvent = {
      id: id as EventId,
      subject: workload.subject,
      timeMs: clock.civilMs(),
      correlation: id as CorrelationId,
      headers: {},
      data: new TextEncoder().encode(data),
    };
    const since = clock.monotonicMicros();
    for (let attempt = 1; ; attempt++) {
      const ack = await this.#testbed.publish(workload.from, event, { deadlineMicros: PUBLISH_DEADLINE_MICROS });
      if (!this.#open) return;
      if (ack.ok || attempt >= workload.attemptsMax || this.#over()) {
        this.#testbed.record('workload.published', {
          event: id,
          subject: workload.subject,
          outcome: ack.ok ? 'accepted' : ack.error.kind === 'unknown' ? 'unknown' : 'refused',
          code: ack.ok ? null : ack.error.code,
          micros: clock.monotonicMicros() - since,
        });
        return;
      }
      await clock.sleep(PUBLISH_AGAIN_MICROS);
    }
  }

  async #lookOnceMore(): Promise<void> {
    const deadlineMicros = COMMAND_DEADLINE_MICROS;
    const nodes = await this.#testbed.query({ kind: 'nodes' }, { deadlineMicros });
    const modules = await this.#testbed.query({ kind: 'modules' }, { deadlineMicros });
    const instances = await this.#testbed.query({ kind: 'instances' }, { deadlineMicros });
    for (const answer of [nodes, modules, instances])
      if (!answer.ok) return this.#stopWith('The controller does not answer at the end', answer.error);
    if (nodes.ok && nodes.value.kind === 'nodes') {
      for (const { facts, status, incarnation } of nodes.value.nodes) {
        this.#testbed.record('inventory.observed', {
          node: facts.node,
          status,
          incarnation,
          architecture: facts.architecture,
          zone: facts.zone,
          cores: facts.cores,
          memoryBytes: facts.memoryBytes,
        });
      }
    }
    if (modules.ok && modules.value.kind === 'modules') {
      for (const { manifest, version, signature } of modules.value.modules) {
        this.#testbed.record('module.observed', { module: manifest.name, version, digest: manifest.digest, key: signature.key });
      }
    }
    if (instances.ok && instances.value.kind === 'instances') {
      for (const { id, state, node, epoch, version } of instances.value.instances) {
        this.#testbed.record('instance.observed', { instance: id, state, node, epoch, version });
      }
    }
    for (const key of this.#scenario.observeState) {
      const entry = await this.#testbed.readState(key);
      if (!entry.ok) return this.#stopWith(`State ${key} could not be read at the end`, entry.error);
      this.#testbed.record('state.observed', { key, value: entry.value === null ? null : new TextDecoder().decode(entry.value.value) });
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
    const last = this.#brokenAt ?? this.#snapshotLast();
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
      lastRecords: verdict === 'held' ? [] : (last.get(first?.machine ?? '') ?? last.get('') ?? []),
      simulatedMicros,
    };
  }
}

type FaultStep = Extract<StepSpec, { readonly do: 'fault' }>;
type OperationSpec = Exclude<StepSpec, FaultStep>;
type TimedStep = { readonly i: number; readonly step: StepSpec; readonly micros: number };

function isFault(timed: TimedStep): timed is TimedStep & { readonly step: FaultStep } {
  return timed.step.do === 'fault';
}

function isOperation(timed: TimedStep): timed is TimedStep & { readonly step: OperationSpec } {
  return timed.step.do !== 'fault';
}

function keepLast(records: RunRecord[], record: RunRecord, max: number): void {
  records.push(record);
  if (records.length > max) records.shift();
}

/** The machines a record tells about: its source, and the node or machine it names. */
function machinesOf(record: RunRecord): ReadonlySet<string> {
  const machines = new Set([record.source]);
  const fields: Readonly<Record<string, unknown>> = record.fields;
  for (const name of ['node', 'machine', 'target']) {
    const value = fields[name];
    if (typeof value === 'string') machines.add(value);
  }
  return machines;
}

function fillTemplate(workload: WorkloadSpec, n: number, below: (bound: number) => number): string {
  return workload.data.replaceAll(/\{(n|id|random:(-?\d+):(-?\d+))\}/g, (whole, what: string, least?: string, most?: string) => {
    if (what === 'n') return String(n);
    if (what === 'id') return `${workload.name}-${n}`;
    if (least === undefined || most === undefined) return whole;
    return String(Number(least) + below(Number(most) - Number(least) + 1));
  });
}

/** By code unit: the order must not depend on a locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
