import { describe, expect, test } from 'vitest';
import { loadScenario } from '../../../scenarios/load.ts';
import type { FaultKind, Scenario } from '../../../scenarios/scenario.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { drawNear, drawPlan, drawRun, FAULT_DRAWS, freshPlan, type Drawn, type Plan } from '../../../sim/campaign/draw/draw.ts';
import { Dice } from '../../../sim/campaign/draw/dice.ts';
import { PAIR_DRAWS } from '../../../sim/campaign/draw/pairs.ts';
import { SIM_FAULT_KINDS } from '../../../sim/faults/faults.ts';

const SEEDS = Array.from({ length: 300 }, (_, i) => `0x${(i + 1).toString(16)}`);

function load({ file, text }: Drawn): Scenario {
  const loaded = loadScenario({ file, text }, fleetLibrary);
  if (!loaded.ok) throw new Error(`${loaded.error.message}\n${text}`);
  return loaded.value;
}

function faultsOf(scenario: Scenario): readonly FaultKind[] {
  return scenario.steps.flatMap((step) => (step.do === 'fault' ? [step.fault.kind] : []));
}

describe('a drawn run', () => {
  const drawn = SEEDS.map((seed) => drawRun(seed, SIM_FAULT_KINDS, null));
  const scenarios = drawn.map(load);

  test('is a valid scenario whatever the seed, held to goals of its own', () => {
    expect(scenarios.every(({ goals, workload, fleet }) => goals.length > 0 && workload.length > 0 && fleet.nodes.length > 1)).toBe(true);
  });

  test('is the same for the same seed, and another for every other', () => {
    expect(SEEDS.slice(0, 20).map((seed) => drawRun(seed, SIM_FAULT_KINDS, null).text)).toEqual(drawn.slice(0, 20).map(({ text }) => text));
    expect(new Set(drawn.map(({ text }) => text.replace(/^.*\n.*\n/, ''))).size).toBe(SEEDS.length);
  });

  test.each(SIM_FAULT_KINDS)('knows the fault %s, which some runs have and some leave out', (kind) => {
    const having = scenarios.filter((scenario) => faultsOf(scenario).includes(kind));
    expect(having.length).toBeGreaterThan(SEEDS.length / 20);
    expect(having.length).toBeLessThan(SEEDS.length / 2);
  });

  test('is in peace, or has a few kinds of fault, or many', () => {
    const kinds = scenarios.map((scenario) => new Set(faultsOf(scenario)).size);
    const share = (is: (n: number) => boolean): number => kinds.filter(is).length / kinds.length;
    expect(share((n) => n === 0)).toBeGreaterThan(0.1);
    expect(share((n) => n >= 1 && n <= 3)).toBeGreaterThan(0.2);
    expect(share((n) => n >= 4 && n <= 8)).toBeGreaterThan(0.1);
    expect(share((n) => n > 8)).toBeGreaterThan(0.1);
    // How many of a kind is drawn too.
    const paired: readonly string[] = PAIR_DRAWS.flatMap(({ first, second }) => [first, second]);
    const counts = drawn.flatMap(({ faults }) => Object.entries(faults).flatMap(([kind, n]) => (paired.includes(kind) ? [] : [n])));
    expect(counts.filter((n) => n === 1).length).toBeGreaterThan(counts.length / 10);
    expect(Math.max(...counts)).toBe(10);
  });

  test('goes everywhere that the language leads to', () => {
    const deploys = scenarios.flatMap(({ steps }) => steps.flatMap((step) => (step.do === 'deploy' ? [step.spec] : [])));
    const pushes = scenarios.flatMap(({ steps }) => steps.flatMap((step) => (step.do === 'push' ? [step] : [])));
    const laws = new Set(scenarios.flatMap(({ fleet }) => fleet.links.map(({ latency }) => latency.law)));
    expect([...laws].toSorted()).toEqual(['constant', 'empirical', 'exponential', 'log-normal', 'normal', 'uniform']);
    const has = (what: string, some: boolean): void => expect([what, some]).toEqual([what, true]);
    has(
      'architectures',
      deploys.some(({ requirements }) => requirements.architectures.length > 0),
    );
    has(
      'within',
      deploys.some(({ requirements }) => requirements.within !== null),
    );
    has(
      'memory',
      deploys.some(({ requirements }) => requirements.memoryBytes > 16 * 1_048_576),
    );
    has('spread by level', deploys.some(({ spread }) => spread === 1) && deploys.some(({ spread }) => spread === 2));
    for (const signing of ['unsigned', 'untrusted', 'tampered'])
      has(
        signing,
        pushes.some((push) => push.signing === signing),
      );
    has(
      'a push that asks for too much',
      pushes.some(({ module, accepted }) => module === 'greedy' && !accepted),
    );
    const rightsOf = (steps: Scenario['steps']) =>
      new Set(steps.flatMap((step) => (step.do === 'push' && step.module === 'forbidden' ? [String(step.capabilities)] : [])));
    has(
      'a version with fewer rights',
      scenarios.some(({ steps }) => rightsOf(steps).size > 1),
    );
    const claims = new Set(scenarios.flatMap(({ goals }) => goals.map(({ goal }) => goal)));
    expect([...claims].toSorted()).toEqual([
      'answered',
      'counted-once',
      'drained',
      'near',
      'queue-bounded',
      'running',
      'version-everywhere',
    ]);
    has(
      'nothing left',
      scenarios.some(({ goals }) => goals.some(({ parameters }) => parameters['atMost'] === 0)),
    );
    has(
      'a component',
      pushes.some(({ example }) => example === 'worst-speed'),
    );
    has('hysteresis', new Set(scenarios.flatMap(({ fleet }) => fleet.vehicles.map(({ hysteresis }) => hysteresis.join()))).size === 3);
    has(
      'clocks that differ',
      scenarios.every(({ fleet }) => fleet.nodes.every(({ clock }) => clock !== null)),
    );
    has(
      'narrow cells',
      scenarios.some(({ fleet }) => fleet.cells.some(({ bandwidth }) => bandwidth !== null)),
    );
  });

  test('is held to time only where nothing breaks', () => {
    for (const scenario of scenarios) {
      const isTimed = scenario.goals.some(({ goal }) => goal === 'drained' || goal === 'answered');
      // One that is followed is never out of reach.
      const driving = scenario.fleet.vehicles.filter(({ vehicle }) => vehicle !== 'fleet/van');
      expect(isTimed && (faultsOf(scenario).length > 0 || driving.length > 0)).toBe(false);
    }
  });

  test('says how often it begins each fault', () => {
    drawn.forEach(({ faults }, i) => {
      const kinds = faultsOf(scenarios[i] as Scenario);
      for (const kind of SIM_FAULT_KINDS) expect(faults[kind] ?? 0).toBe(kinds.filter((other) => other === kind).length);
    });
  });

  test('has a fresh version of everything after the last fault that spoils what is stored', () => {
    let spoilt = 0;
    for (const { steps } of scenarios) {
      const at = (step: (typeof steps)[number]): number => (step.at.kind === 'at' ? step.at.micros : step.at.microsMin);
      for (const step of steps) {
        if (step.do !== 'fault' || FAULT_DRAWS[step.fault.kind].spoilsModules !== true) continue;
        spoilt += 1;
        const endMicros = at(step) + (step.fault.forMicros ?? Infinity);
        for (const deploy of steps.filter((other) => other.do === 'deploy')) {
          expect(steps.some((other) => other.do === 'push' && other.module === deploy.spec.module && at(other) > endMicros)).toBe(true);
        }
      }
    }
    expect(spoilt).toBeGreaterThan(30);
  });

  test('does not change in what it knew when a kind of fault is added', () => {
    const fewer = SIM_FAULT_KINDS.filter((kind) => kind !== 'loss');
    const stepsOf = (kinds: readonly FaultKind[], seed: string): readonly string[] =>
      load(drawRun(seed, kinds, null))
        .steps.filter((step) => step.do !== 'fault' || step.fault.kind !== 'loss')
        .map((step) => JSON.stringify(step));
    for (const seed of SEEDS.slice(0, 40)) expect(stepsOf(fewer, seed)).toEqual(stepsOf(SIM_FAULT_KINDS, seed));
  });
});

describe('a run that may lose last copies', () => {
  const drawn = SEEDS.map((seed) => drawPlan(freshPlan(seed, SIM_FAULT_KINDS), null, true));
  const scenarios = drawn.map(load);
  const lossesOf = (scenario: Scenario) =>
    scenario.steps.flatMap((step) =>
      step.do === 'fault' && (step.fault.kind === 'wipe' || step.fault.kind === 'restore') && step.fault.machine === 'controller'
        ? [{ fromMicros: step.at.kind === 'at' ? step.at.micros : NaN, forMicros: step.fault.forMicros, kind: step.fault.kind }]
        : [],
    );

  test('loses one or two, of every sort, one after the other, and says in its first line how it was drawn', () => {
    expect(drawn[0]?.text.split('\n')[0]).toBe('# Drawn by `wasmmatrix fuzz --seed 0x1 --runs 1 --unrepairable`. Seed 0x1.');
    for (const scenario of scenarios) {
      const losses = lossesOf(scenario);
      expect(losses.length).toBeGreaterThan(0);
      losses.slice(1).forEach(({ fromMicros }, i) => {
        const before = losses[i];
        expect(fromMicros).toBeGreaterThan((before?.fromMicros ?? NaN) + (before?.forMicros ?? NaN));
      });
    }
    const kinds = scenarios.flatMap(lossesOf).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'restore').length).toBeGreaterThan(50);
    expect(kinds.filter((kind) => kind === 'wipe').length).toBeGreaterThan(50);
    expect(scenarios.some((scenario) => lossesOf(scenario).length > 1)).toBe(true);
    const isWiped = (scenario: Scenario, node: string): boolean =>
      scenario.steps.some((step) => step.do === 'fault' && step.fault.kind === 'wipe' && step.fault.machine === node);
    expect(scenarios.filter((scenario) => scenario.fleet.nodes.every(({ node }) => isWiped(scenario, node))).length).toBeGreaterThan(30);
  });

  test('has everything set up again afterwards: keys, modules, deployments and triggers', () => {
    for (const scenario of scenarios) {
      const losses = lossesOf(scenario);
      const over = Math.max(...losses.map(({ fromMicros, forMicros }) => fromMicros + forMicros));
      const later = scenario.steps.filter((step) => step.at.kind === 'at' && step.at.micros > over);
      expect(later.some((step) => step.do === 'trust')).toBe(true);
      const named = (steps: Scenario['steps'], what: 'deploy' | 'trigger'): readonly string[] =>
        [
          ...new Set(
            steps.flatMap((step) => (step.do === what && (step.do === 'deploy' || step.do === 'trigger') ? [String(step.spec.name)] : [])),
          ),
        ].toSorted();
      expect(named(later, 'trigger')).toEqual(named(scenario.steps, 'trigger'));
      expect(named(later, 'deploy')).toEqual(named(scenario.steps, 'deploy'));
    }
  });

  const faultsOf = (scenario: Scenario, machine: string) =>
    scenario.steps.flatMap((step) =>
      step.do === 'fault' && 'machine' in step.fault && step.fault.machine === machine && step.at.kind === 'at'
        ? [{ kind: step.fault.kind, from: step.at.micros, to: step.at.micros + (step.fault.forMicros ?? Infinity) }]
        : [],
    );

  test('has disks that rot or lie while a copy waits, and starts nobody on one that lies', () => {
    let lies = 0;
    let rots = 0;
    let refused = 0;
    for (const scenario of scenarios) {
      const faults = faultsOf(scenario, 'controller');
      const copies = faults.filter(({ kind }) => kind === 'restore');
      const isCovered = (at: number): boolean => copies.some(({ from, to }) => from < at && at < to);
      const crashes = faults.filter(({ kind }) => kind === 'crash');
      for (const lie of faults.filter(({ kind }) => kind === 'disk-lies')) {
        lies += 1;
        expect(isCovered(lie.from)).toBe(true);
        const during = crashes.filter(({ from, to }) => from <= lie.to && to >= lie.from);
        expect(during).toHaveLength(1);
        // It ends while the power is off: nobody begins a term on it.
        expect(during[0]?.from).toBeGreaterThan(lie.from);
        expect(during[0]?.to).toBeGreaterThan(lie.to);
        const ending = faults.filter(({ kind }) => ['reboot', 'pause', 'throttle', 'disk-full', 'disk-slow'].includes(kind));
        expect(ending.filter(({ from, to }) => from <= lie.to && to + 3_000_000 >= lie.from)).toEqual([]);
      }
      for (const { from } of faults.filter(({ kind }) => kind === 'disk-rot')) {
        rots += 1;
        expect(isCovered(from)).toBe(true);
        if (crashes.some((crash) => crash.from > from && isCovered(crash.from))) refused += 1;
      }
    }
    expect(lies).toBeGreaterThan(20);
    expect(rots).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(10);
  });

  test('takes nodes back again that the copy may know as drained', () => {
    let drained = 0;
    for (const scenario of scenarios) {
      const over = Math.max(...lossesOf(scenario).map(({ fromMicros, forMicros }) => fromMicros + forMicros));
      for (const step of scenario.steps) {
        if (step.do !== 'drain') continue;
        drained += 1;
        expect(
          scenario.steps.some(
            (later) => later.do === 'undrain' && later.node === step.node && later.at.kind === 'at' && later.at.micros > over,
          ),
        ).toBe(true);
      }
    }
    expect(drained).toBeGreaterThan(20);
  });

  test('leaves the civil clock of its controller alone, from which a restored one takes its term', () => {
    const clocks = scenarios.flatMap(({ steps }) =>
      steps.flatMap((step) =>
        step.do === 'fault' && (step.fault.kind === 'clock-step' || step.fault.kind === 'clock-freeze') ? [step.fault.machine] : [],
      ),
    );
    expect(clocks.length).toBeGreaterThan(20);
    expect(clocks).not.toContain('controller');
  });

  test('is never drawn unless asked for', () => {
    expect(SEEDS.map((seed) => drawRun(seed, SIM_FAULT_KINDS, null).text).filter((text) => text.includes('lastCopy'))).toEqual([]);
  });
});

describe('a run drawn near another', () => {
  const parents = SEEDS.map((seed) => freshPlan(seed, SIM_FAULT_KINDS));
  const near = (seed: string, parent: Plan, i: number): Plan =>
    drawNear(new Dice(seed, 'near'), seed, parent, parents[(i + 7) % parents.length] ?? parent, SIM_FAULT_KINDS);
  const plans = parents.map((parent, i) => near(`0x${(10_000 + i).toString(16)}`, parent, i));

  test('is a valid scenario, says near what it was drawn, and names its own seed', () => {
    for (const plan of plans) {
      const drawn = drawPlan(plan, null);
      load(drawn);
      expect(drawn.text.split('\n')[0]).toBe(`# Drawn by \`wasmmatrix fuzz\`, near the run of ${plan.near}. Seed ${plan.seed}.`);
      expect(/^#.*\bSeed (0x[0-9a-f]+)/m.exec(drawn.text)?.[1]).toBe(plan.seed);
    }
  });

  test('keeps something of what it is near to, and is itself something else', () => {
    plans.forEach((plan, i) => {
      const parent = parents[i] as Plan;
      const kept = Object.entries(plan.faults).filter(([kind, seed]) => parent.faults[kind as FaultKind] === seed);
      expect(plan.near).toBe(parent.seed);
      expect(plan.ground === parent.ground || kept.length > 0 || Object.keys(parent.faults).length === 0).toBe(true);
      expect(plan.seed).not.toBe(parent.seed);
    });
    // Each of the ways to differ is taken.
    const grounds = plans.filter((plan, i) => plan.ground !== parents[i]?.ground).length;
    const alike = plans.filter((plan, i) => JSON.stringify(plan.faults) === JSON.stringify(parents[i]?.faults)).length;
    const more = plans.filter((plan, i) => Object.keys(plan.faults).length > Object.keys(parents[i]?.faults ?? {}).length).length;
    for (const n of [grounds, alike - grounds, more]) expect(n).toBeGreaterThan(20);
  });

  test('is drawn alike from the same plan, with the faults that it kept where they were', () => {
    const parent = parents.find(({ faults }) => Object.keys(faults).length > 3) as Plan;
    const kept: Plan = { ...parent, seed: '0xabc', near: parent.seed };
    const steps = (plan: Plan) => load(drawPlan(plan, null)).steps;
    expect(steps(kept)).toEqual(steps(parent));
    const [first = 'crash'] = Object.keys(parent.faults) as FaultKind[];
    const changed = steps({ ...kept, faults: { ...parent.faults, [first]: '0xabc' } });
    const redrawn = [first, ...PAIR_DRAWS.flatMap((pair) => (pair.first === first ? [pair.second] : []))];
    const others = (of: typeof changed) => of.filter((step) => step.do !== 'fault' || !redrawn.includes(step.fault.kind));
    expect(others(changed)).toEqual(others(steps(parent)));
    expect(changed).not.toEqual(steps(parent));
  });
});

describe('a run drawn for a scenario', () => {
  const text = [
    'question: Does it hold?',
    'requirements: [R1.2]',
    'duration: 20s',
    'fleet: three-zones',
    'steps:',
    '  - { at: 2s, push: echo }',
    '  - { at: 3s, deploy: echo, origin: cloud/eu/a, replicas: 2 }',
    '  - { at: 4s, trigger: echo, on: questions.plain }',
    '  - { at: 9s, crash: a-1, for: 1234567us }',
    'workload: [{ name: questions, subject: questions.plain, from: cloud/eu/a, start: 5s, every: 100ms }]',
    'goals: [{ running: { deployment: echo, atLeast: 2 } }, { answered: { subject: questions.plain, within: 1ms } }, { sometimes: { state: guest-cut-off } }, { never: { state: two-nodes-down } }]',
  ].join('\n');
  const scenario = load({ file: 'mine.scenario.yaml', text, faults: {}, nodes: 6 });

  test('keeps its fleet, its work, the goals about the end and what has to happen in some run, and has faults of its own', () => {
    const runs = SEEDS.slice(0, 50).map((seed) => load(drawRun(seed, SIM_FAULT_KINDS, { scenario, text })));
    for (const run of runs) {
      expect(run.fleet).toEqual(scenario.fleet);
      expect(run.workload).toEqual(scenario.workload);
      expect(run.goals.map(({ goal }) => goal)).toEqual(['running', 'sometimes']);
      expect(run.steps.filter((step) => step.do !== 'fault')).toEqual(scenario.steps.filter((step) => step.do !== 'fault'));
      expect(run.steps.some((step) => step.do === 'fault' && step.fault.forMicros === 1_234_567)).toBe(false);
    }
    expect(new Set(runs.flatMap(faultsOf)).size).toBeGreaterThan(4);
  });

  test('has no fault where there is no millisecond for one', () => {
    const steps = ['steps: [{ at: 0s, push: echo }]', 'goals: [{ happens: { record: controller.started, atLeast: 1 } }]'];
    const short = ['question: Does it start?', 'requirements: [R1.2]', 'duration: 500us', 'fleet: three-zones', ...steps].join('\n');
    const base = { scenario: load({ file: 'short.scenario.yaml', text: short, faults: {}, nodes: 6 }), text: short };
    for (const seed of SEEDS.slice(0, 50)) expect(faultsOf(load(drawRun(seed, SIM_FAULT_KINDS, base)))).toEqual([]);
  });
});
