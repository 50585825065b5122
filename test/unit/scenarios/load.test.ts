// From a file to the one typed value: defaults, units, fleets, and the catalogue as it ships (H2.1, H2.5).
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nameOf, SCENARIO_SUFFIX } from '../../../scenarios/load.ts';
import { FAULT_KINDS, type StepSpec } from '../../../scenarios/scenario.ts';
import { SPREAD_NODE } from '../../../system/domain/deployment.ts';
import { CATALOGUE, fleetsOnDisk, loadText, mustLoad, SCENARIOS, SMALL } from '../../support/scenarios/files.ts';

const steps = (...lines: readonly string[]): readonly StepSpec[] =>
  mustLoad(SMALL.replace('- { between: [5s, 6s], crash: a-1, for: 2s }', lines.map((line) => `- ${line}`).join('\n  '))).steps.slice(3);

describe('a small file', () => {
  const scenario = mustLoad(SMALL);

  it('is named by its file and has its defaults filled in', () => {
    expect(scenario).toMatchObject({
      name: 'small',
      file: 'scenarios/catalogue/small.scenario.yaml',
      question: 'Does it answer?',
      description: '',
      durationMicros: 10_000_000,
      quietMicros: 12_000_000,
      observeState: [],
      platform: { heartbeatIntervalMs: 500, suspectAfterMs: 1_500, unavailableAfterMs: 3_000, leaseMs: 2_500, queueEventsMax: 100 },
    });
  });

  it('writes out its steps', () => {
    expect(scenario.steps).toEqual([
      {
        at: { kind: 'at', micros: 1_000_000 },
        do: 'push',
        module: 'echo',
        example: 'echo',
        capabilities: null,
        limits: {},
        model: null,
        signing: 'trusted',
        author: 'ops',
        accepted: true,
      },
      {
        at: { kind: 'at', micros: 2_000_000 },
        do: 'deploy',
        spec: {
          name: 'echo',
          module: 'echo',
          version: null,
          replicas: 1,
          origin: 'cloud/a',
          requirements: { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 16 * 1_048_576, cpuMillis: 100 },
          spread: 0,
          whenUnreachable: 'move',
          concurrency: 4,
        },
      },
      {
        at: { kind: 'at', micros: 3_000_000 },
        do: 'trigger',
        spec: {
          name: 'echo',
          subject: 'questions.*',
          deployment: 'echo',
          result: 'answers.echo',
          deliveriesMax: 8,
          ackWaitMs: 2_000,
          backoffMs: 100,
          backoffMsMax: 5_000,
        },
      },
      {
        at: { kind: 'between', microsMin: 5_000_000, microsMax: 6_000_000 },
        do: 'fault',
        fault: { kind: 'crash', machine: 'a-1', forMicros: 2_000_000 },
      },
    ]);
  });

  it('writes out its workload and goals', () => {
    expect(scenario.workload).toEqual([
      {
        name: 'questions',
        subject: 'questions.plain',
        from: 'cloud/b',
        startMicros: 4_000_000,
        endMicros: 10_000_000,
        everyMicros: 100_000,
        shape: 'steady',
        burstEvents: 10,
        curve: null,
        trace: null,
        data: '{n}',
        attemptsMax: 100,
      },
    ]);
    expect(scenario.goals).toEqual([
      { goal: 'answered', parameters: { subject: 'questions.plain', within: 2_000_000 } },
      { goal: 'happens', parameters: { record: 'node.status', atMost: 4 } },
    ]);
  });

  it('writes out its fleet: counted nodes, defaults of each, one law for every pair of zones', () => {
    const { nodes, links, controller } = scenario.fleet;
    expect(nodes.map((node) => node.node)).toEqual(['a-1', 'a-2', 'b-1']);
    expect(nodes[0]).toEqual({
      node: 'a-1',
      zone: 'cloud/a',
      faultDomain: 'cloud/a/a-1',
      location: { latitude: 50, longitude: 8 },
      architecture: 'x86_64',
      isaFeatures: [],
      cores: 4,
      memoryBytes: 512 * 1_048_576,
      hardware: [],
      fuelPerMicro: 1_000,
      thermal: null,
      battery: null,
      clock: null,
      startMicros: 0,
    });
    expect(nodes[2]).toMatchObject({ architecture: 'aarch64', fuelPerMicro: 800, hardware: ['can'] });
    expect(controller).toEqual({ zone: 'cloud/a', location: { latitude: 50, longitude: 8 } });
    expect(links).toEqual([
      { a: 'cloud/a', b: 'cloud/a', latency: { law: 'constant', micros: 500 }, loss: [0, 1], impairments: [] },
      { a: 'cloud/a', b: 'cloud/b', latency: { law: 'constant', micros: 2_000 }, loss: [1, 100], impairments: [] },
      { a: 'cloud/b', b: 'cloud/b', latency: { law: 'constant', micros: 500 }, loss: [0, 1], impairments: [] },
    ]);
  });
});

describe('steps', () => {
  it('are accepted as their signing says, unless the file says otherwise', () => {
    const [unsigned, odd] = steps(
      '{ at: 4s, push: echo, signing: unsigned }',
      '{ at: 5s, push: echo, accepted: false, limits: { fuel: 5, memory: 1MiB, output: 2KiB } }',
    );
    expect(unsigned).toMatchObject({ signing: 'unsigned', accepted: false });
    expect(odd).toMatchObject({
      signing: 'trusted',
      accepted: false,
      limits: { fuelMax: 5, memoryBytesMax: 1_048_576, outputBytesMax: 2_048 },
    });
  });

  it('may have a model in place of the guest, with its defaults', () => {
    const laws = '{ uniform: { min: 5, max: 9 } }';
    const calls = '[{ read: a/b }, { write: a/c }, { publish: x.y, bytes: 1KiB }, { sleep: 3ms }]';
    const [plain, full] = steps(
      '{ at: 4s, push: echo, model: { fuel: 70 } }',
      `{ at: 4s, push: echo, model: { fuel: ${laws}, fuelPerByte: 2, memory: 1MiB, result: 32B, calls: ${calls} } }`,
    );
    expect(plain).toMatchObject({
      model: { fuel: { law: 'constant', fuel: 70 }, fuelPerByte: 0, memoryBytes: 65_536, result: 'echo', calls: [] },
    });
    expect(full).toMatchObject({
      model: {
        fuel: { law: 'uniform', fuelMin: 5, fuelMax: 9 },
        fuelPerByte: 2,
        memoryBytes: 1_048_576,
        result: { bytes: 32 },
        calls: [
          { call: 'read', key: 'a/b' },
          { call: 'write', key: 'a/c', bytes: 16 },
          { call: 'publish', subject: 'x.y', bytes: 1_024 },
          { call: 'sleep', micros: 3_000 },
        ],
      },
    });
  });

  it.each(['{ uniform: { min: 9, max: 5 } }', '{ exponential: { mean: 5, min: 9 } }'])('refuse a model whose fuel is %s', (fuel) => {
    expect(() => steps(`{ at: 4s, push: echo, model: { fuel: ${fuel} } }`)).toThrow(/contradict each other/);
  });

  it('take their words for spread, need and reach', () => {
    const needs = '{ hardware: [can], within: cloud, cpu: 5, memory: 1MiB, architectures: [aarch64] }';
    const [deploy] = steps(
      `{ at: 4s, deploy: two, module: echo, version: 1, origin: cloud/b, spread: node, whenUnreachable: stay, needs: ${needs} }`,
    );
    expect(deploy).toMatchObject({
      spec: {
        module: 'echo',
        version: 1,
        spread: SPREAD_NODE,
        whenUnreachable: 'stay',
        requirements: { hardware: ['can'], within: 'cloud', cpuMillis: 5, memoryBytes: 1_048_576, architectures: ['aarch64'] },
      },
    });
  });

  it('may be each of the faults', () => {
    const between = { a: 'cloud/a', b: 'cloud/b', forMicros: 1_000_000 };
    const faults = steps(
      '{ at: 4s, crash: controller, for: ever }',
      '{ at: 4s, pause: a-1, for: 1s }',
      '{ at: 4s, broker-outage: controller, for: 1s }',
      '{ at: 4s, broker-slow: controller, by: 20ms, for: 1s }',
      '{ at: 4s, broker-loses-answers: controller, ratio: 10%, for: 1s }',
      '{ at: 4s, broker-repeats: controller, ratio: 1/3, for: 1s }',
      '{ at: 4s, reset-connections: controller }',
      '{ at: 4s, spoil-artefact: controller, how: swapped, for: 1s }',
      '{ at: 4s, garbage: a-1, for: 1s }',
      '{ at: 4s, reboot: controller, for: 1s }',
      '{ at: 4s, upgrade: a-1, version: 9.0.0-rc.1, for: 1s }',
      '{ at: 4s, wipe: controller, for: 1s, lastCopy: true }',
      '{ at: 4s, restore: a-1, for: 3s, off: 1s }',
      '{ at: 4s, disk-slow: controller, factor: 20, for: 1s }',
      '{ at: 4s, disk-lies: a-1, for: 1s }',
      '{ at: 4s, disk-rot: a-1 }',
      '{ at: 4s, throttle: a-1, factor: 20, for: 1s }',
      '{ at: 4s, memory-pressure: a-1, leaves: 2MiB, for: 1s }',
      '{ at: 4s, clock-step: a-1, by: -1.5m, for: 1s }',
      '{ at: 4s, clock-drift: controller, ppm: -300, for: 1s }',
      '{ at: 4s, clock-freeze: a-1, for: 1s }',
      '{ at: 4s, partition: [cloud/a], from: [b-1, controller], for: 1s }',
      '{ at: 4s, partition-one-way: [cloud/a], to: [controller], for: 1s }',
      '{ at: 4s, latency: [cloud/a, cloud/b], factor: 10, for: 1s }',
      '{ at: 4s, loss: [cloud/a, cloud/b], ratio: 2.5%, for: 1s }',
      '{ at: 4s, bandwidth: [cloud/a, cloud/b], rate: 64KiB, queue: 4KiB, for: 1s }',
      '{ at: 4s, burst-loss: [cloud/a, cloud/b], ratio: 1/2, burst: 300ms, apart: 2s, for: 1s }',
      '{ at: 4s, duplication: [cloud/a, cloud/b], ratio: 1/5, for: 1s }',
      '{ at: 4s, reordering: [cloud/a, cloud/b], ratio: 1/5, delay: 20ms, for: 1s }',
      '{ at: 4s, corruption: [cloud/a, cloud/b], ratio: 1/5, for: 1s }',
      '{ at: 4s, clog: [controller], for: 1s }',
      '{ at: 4s, swizzle: [cloud/a, controller], for: 1s }',
      '{ at: 4s, half-open: [b-1], with: [controller], for: 1s }',
      '{ at: 4s, disk-full: a-1, for: 1s }',
      '{ at: 4s, forge-artefact: controller, for: 1s }',
    ).map((step) => (step.do === 'fault' ? step.fault : null));
    expect(faults).toEqual([
      { kind: 'crash', machine: 'controller', forMicros: null },
      { kind: 'pause', machine: 'a-1', forMicros: 1_000_000 },
      { kind: 'broker-outage', forMicros: 1_000_000 },
      { kind: 'broker-slow', byMicros: 20_000, forMicros: 1_000_000 },
      { kind: 'broker-loses-answers', ratio: [10, 100], forMicros: 1_000_000 },
      { kind: 'broker-repeats', ratio: [1, 3], forMicros: 1_000_000 },
      { kind: 'reset-connections', machine: 'controller', forMicros: 0 },
      { kind: 'spoil-artefact', how: 'swapped', forMicros: 1_000_000 },
      { kind: 'garbage', machine: 'a-1', forMicros: 1_000_000 },
      { kind: 'reboot', machine: 'controller', forMicros: 1_000_000 },
      { kind: 'upgrade', machine: 'a-1', version: '9.0.0-rc.1', forMicros: 1_000_000 },
      { kind: 'wipe', machine: 'controller', lastCopy: true, forMicros: 1_000_000 },
      { kind: 'restore', machine: 'a-1', offMicros: 1_000_000, lastCopy: false, forMicros: 3_000_000 },
      { kind: 'disk-slow', machine: 'controller', factor: 20, forMicros: 1_000_000 },
      { kind: 'disk-lies', machine: 'a-1', lastCopy: false, forMicros: 1_000_000 },
      { kind: 'disk-rot', machine: 'a-1', lastCopy: false, forMicros: 0 },
      { kind: 'throttle', machine: 'a-1', factor: 20, forMicros: 1_000_000 },
      { kind: 'memory-pressure', machine: 'a-1', leavesBytes: 2_097_152, forMicros: 1_000_000 },
      { kind: 'clock-step', machine: 'a-1', byMicros: -90_000_000, forMicros: 1_000_000 },
      { kind: 'clock-drift', machine: 'controller', ppm: -300, forMicros: 1_000_000 },
      { kind: 'clock-freeze', machine: 'a-1', forMicros: 1_000_000 },
      { kind: 'partition', a: ['cloud/a'], b: ['b-1', 'controller'], forMicros: 1_000_000 },
      { kind: 'partition-one-way', from: ['cloud/a'], to: ['controller'], forMicros: 1_000_000 },
      { kind: 'latency', a: 'cloud/a', b: 'cloud/b', factor: [10, 1], forMicros: 1_000_000 },
      { kind: 'loss', a: 'cloud/a', b: 'cloud/b', loss: [25, 1_000], forMicros: 1_000_000 },
      { kind: 'bandwidth', ...between, bytesPerS: 65_536, queueBytes: 4_096 },
      { kind: 'burst-loss', ...between, ratio: [1, 2], burstMicros: 300_000, apartMicros: 2_000_000 },
      { kind: 'duplication', ...between, ratio: [1, 5] },
      { kind: 'reordering', ...between, ratio: [1, 5], microsMax: 20_000 },
      { kind: 'corruption', ...between, ratio: [1, 5] },
      { kind: 'clog', places: ['controller'], forMicros: 1_000_000 },
      { kind: 'swizzle', places: ['cloud/a', 'controller'], forMicros: 1_000_000 },
      { kind: 'half-open', a: ['b-1'], b: ['controller'], forMicros: 1_000_000 },
      { kind: 'disk-full', machine: 'a-1', forMicros: 1_000_000 },
      { kind: 'forge-artefact', forMicros: 1_000_000 },
    ]);
  });
});

describe('a fleet', () => {
  const FLEET = `controller: { zone: cloud/a }
zones:
  - { zone: cloud/a, location: [0, 0] }
  - { zone: cloud/b, location: [0, 10] }
nodes:
  - { node: a-1, zone: cloud/a }
  - { node: b-1, zone: cloud/b, cores: 2 }
`;
  const using = (fleet: string) =>
    mustLoad(SMALL.replace(SMALL.slice(SMALL.indexOf('fleet:'), SMALL.indexOf('platform:')), fleet), (name) =>
      name === 'mine' ? { file: 'mine.yaml', text: FLEET } : null,
    ).fleet;

  it('is used by its name', () => {
    expect(using('fleet: mine\n').nodes.map((node) => node.node)).toEqual(['a-1', 'b-1']);
  });

  it('is changed by what stands beside its name', () => {
    const fleet = using(
      'fleet:\n  use: mine\n  controller: { zone: cloud/b }\n  nodes:\n    - { node: a-1, zone: cloud/a, fuelPerMicro: 7 }\n    - { node: c-1, zone: cloud/b }\n',
    );
    expect(fleet.controller.zone).toBe('cloud/b');
    expect(fleet.nodes.map((node) => [node.node, node.fuelPerMicro])).toEqual([
      ['a-1', 7],
      ['b-1', 1_000],
      ['c-1', 1_000],
    ]);
  });

  it('has links as slow as its distances where no law is given', () => {
    const between = using('fleet: mine\n').links.find((link) => link.a !== link.b);
    // Ten degrees of the equator are 1,111.95 km: 5 ms and 5 microseconds for each kilometre.
    expect(between?.latency).toEqual({ law: 'constant', micros: 10_560 });
  });

  it('has the laws that are written', () => {
    const law = (text: string): unknown => mustLoad(SMALL.replace('latency: 2ms', `latency: ${text}`)).fleet.links[1]?.latency;
    expect(law('{ uniform: { min: 1ms, max: 1.5ms } }')).toEqual({ law: 'uniform', microsMin: 1_000, microsMax: 1_500 });
    expect(law('{ normal: { mean: 9ms, deviation: 2ms, min: 4ms } }')).toEqual({
      law: 'normal',
      microsMean: 9_000,
      microsDeviation: 2_000,
      microsMin: 4_000,
    });
    expect(law('{ logNormal: { median: 40ms, p99: 300ms } }')).toMatchObject({ law: 'log-normal', microsMedian: 40_000, microsMin: 0 });
    expect(law('{ empirical: [3ms, 1.5ms] }')).toEqual({ law: 'empirical', micros: [3_000, 1_500] });
    expect(law('{ exponential: { mean: 8ms, min: 2ms } }')).toEqual({ law: 'exponential', microsMean: 8_000, microsMin: 2_000 });
  });

  it('has links that are narrow, bursty and untidy for good', () => {
    const impairments = (text: string): unknown =>
      mustLoad(SMALL.replace('latency: 2ms', `latency: 2ms, ${text}`)).fleet.links.find((link) => link.impairments.length > 0)?.impairments;
    expect(impairments('corruption: 1/1000, bandwidth: { rate: 64KiB }')).toEqual([
      { kind: 'bandwidth', bytesPerS: 65_536, queueBytes: 262_144 },
      { kind: 'corruption', ratio: [1, 1_000] },
    ]);
    expect(impairments('burstLoss: { burst: 1s, apart: 10s }, duplication: 1%, reordering: { ratio: 1/8 }')).toEqual([
      { kind: 'burst-loss', ratio: [50, 100], burstMicros: 1_000_000, apartMicros: 10_000_000 },
      { kind: 'duplication', ratio: [1, 100] },
      { kind: 'reordering', ratio: [1, 8], microsMax: 20_000 },
    ]);
  });

  it.each([
    ['bandwidth: { rate: 0B }', 'fleet.links[0].bandwidth.rate: found nothing, expected more than 0'],
    ['bandwidth: { queue: 1KiB }', "fleet.links[0].bandwidth: 'rate' is missing"],
    ['burstLoss: { burst: 1s }', "fleet.links[0].burstLoss: 'apart' is missing"],
    ['duplication: 3/2', 'fleet.links[0].duplication: found "3/2", expected a chance above 0 and of at most 1'],
    ['reordering: { ratio: 0% }', 'fleet.links[0].reordering.ratio: found "0%", expected a chance above 0 and of at most 1'],
    ['jitter: 1ms', "fleet.links[0].jitter: unknown field 'jitter'"],
  ])('refuses a link with %s', (text, mistake) => {
    const loaded = loadText(SMALL.replace('latency: 2ms', `latency: 2ms, ${text}`));
    expect(loaded.ok ? '' : loaded.error.message).toContain(mistake);
    // With the place: a line and a column of the file.
    expect(loaded.ok ? '' : loaded.error.message).toMatch(/yaml:\d+:\d+ /);
  });

  it('refuses laws whose delays contradict each other', () => {
    for (const law of ['{ logNormal: { median: 40ms, p99: 30ms } }', '{ exponential: { mean: 1ms, min: 2ms } }']) {
      const loaded = loadText(SMALL.replace('latency: 2ms', `latency: ${law}`));
      expect(loaded.ok ? '' : loaded.error.message).toContain('the delays of the law contradict each other');
    }
  });
});

it('takes the name of a scenario from its file', () => {
  expect(nameOf('a/b/node-failure.scenario.yaml')).toBe('node-failure');
  expect(nameOf('mine.yml')).toBe('mine');
});

describe('the catalogue', () => {
  const files = readdirSync(CATALOGUE).sort();
  const LARGE = `${SCENARIOS}large/`;
  const large = readdirSync(LARGE).sort();
  const FLEETS = readdirSync(`${SCENARIOS}fleets`).sort();
  const load = (file: string) => mustLoad(readFileSync(`${CATALOGUE}${file}`, 'utf8'), fleetsOnDisk);

  it('holds scenario files only, and asks the questions that it is known for', () => {
    expect(files.every((file) => file.endsWith(SCENARIO_SUFFIX))).toBe(true);
    expect(files.map(nameOf)).toEqual(
      expect.arrayContaining([
        'capabilities-refused',
        'controller-killed',
        'deploy-and-answer',
        'event-storm',
        'guest-misbehaves',
        'node-failure',
        'node-return',
        'partition-heals',
        'region-latency',
        'rollback-everywhere',
        'signatures-refused',
      ]),
    );
  });

  it.each(files)('%s loads without a mistake and stays cheap to play', (file) => {
    const scenario = load(file);
    expect(scenario.requirements.length).toBeGreaterThan(0);
    expect(scenario.tags.length).toBeGreaterThan(0);
    expect(scenario.description).not.toBe('');
    expect(scenario.question.match(/\?/g)).toHaveLength(1);
    // Played when somebody asks for them.
    if (scenario.tags.includes('large')) return;
    expect(scenario.durationMicros + scenario.quietMicros).toBeLessThanOrEqual(62_000_000);
    expect(scenario.fleet.nodes.length).toBeLessThanOrEqual(scenario.tags.includes('modelled') ? 100 : 8);
    expect(new Set(scenario.fleet.nodes.map((node) => node.architecture)).size).toBeGreaterThan(1);
    // Every event that must be answered has a subscription that sees its answer.
    const sees = scenario.observe.some((filter) => filter.startsWith('answers.'));
    expect(scenario.goals.some((goal) => goal.goal === 'answered') && !sees).toBe(false);
  });

  it.each(FLEETS)('fleet %s is used', (file) => {
    const name = file.replace(/\.yaml$/, '');
    expect(fleetsOnDisk(name)).not.toBeNull();
    const users = [...files.map((scenario) => `${CATALOGUE}${scenario}`), ...large.map((scenario) => `${LARGE}${scenario}`)];
    expect(users.some((scenario) => new RegExp(`(?:fleet|use): ${name}$`, 'm').test(readFileSync(scenario, 'utf8')))).toBe(true);
  });

  it('breaks something of each kind', () => {
    const faults = files.flatMap((file) => load(file).steps.flatMap((step) => (step.do === 'fault' ? [step.fault.kind as string] : [])));
    expect(new Set(faults)).toEqual(new Set<string>(FAULT_KINDS));
  });
});

it('is not read at all when it is no scenario', () => {
  expect(loadText('- a\n- b\n')).toMatchObject({ ok: false });
});
