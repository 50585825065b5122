// A small fleet and what is done to it, as data, for tests that want the whole platform in the simulated world.
import type { FaultSpec, Scenario, StepSpec } from '../../scenarios/scenario.ts';
import type { DeploymentName, ModuleName, NodeId, Subject, SubjectFilter, TriggerName, ZonePath } from '../../system/domain/identifiers.ts';
import type { Architecture } from '../../system/domain/node.ts';

const CLOUD = 'cloud' as ZonePath;
const VEHICLES = 'fleet/north' as ZonePath;
const CLOUD_PLACE = { latitude: 50, longitude: 8 };
const VEHICLES_PLACE = { latitude: 52, longitude: 13 };
const SECOND = 1_000_000;

function node(name: string, zone: ZonePath, architecture: Architecture) {
  return {
    node: name as NodeId,
    zone,
    faultDomain: `${zone}/${name}` as ZonePath,
    location: zone === CLOUD ? CLOUD_PLACE : VEHICLES_PLACE,
    architecture,
    isaFeatures: [],
    cores: 2,
    memoryBytes: 1024 ** 3,
    hardware: [],
    fuelPerMicro: 500,
    thermal: null,
    battery: null,
    clock: null,
    startMicros: 100_000,
  };
}

export type SkeletonOptions = {
  readonly example?: string;
  readonly data?: string;
  readonly steps?: readonly StepSpec[];
  readonly faults?: readonly { readonly atMicros: number; readonly fault: FaultSpec }[];
  readonly workSeconds: number;
  readonly quietSeconds?: number;
};

/** Two vehicles and a cloud machine; a module pushed, deployed twice near the vehicles, ten events a second for it. */
export function skeletonScenario(options: SkeletonOptions): Scenario {
  const example = options.example ?? 'echo';
  const deployment = example as DeploymentName;
  const at = (micros: number) => ({ kind: 'at', micros }) as const;
  const steps: StepSpec[] = [
    {
      at: at(SECOND),
      do: 'push',
      module: example as ModuleName,
      example,
      capabilities: null,
      limits: {},
      model: null,
      signing: 'trusted',
      author: 'ops',
      accepted: true,
    },
    {
      at: at(1.5 * SECOND),
      do: 'deploy',
      spec: {
        name: deployment,
        module: example as ModuleName,
        version: null,
        replicas: 2,
        origin: VEHICLES,
        requirements: { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 16 * 1024 ** 2, cpuMillis: 100 },
        spread: 255,
        whenUnreachable: 'move',
        concurrency: 4,
      },
    },
    {
      at: at(1.6 * SECOND),
      do: 'trigger',
      spec: {
        name: 'readings' as TriggerName,
        subject: 'readings.>' as SubjectFilter,
        deployment,
        result: 'results' as Subject,
        deliveriesMax: 10,
        ackWaitMs: 3_000,
        backoffMs: 100,
        backoffMsMax: 2_000,
      },
    },
    ...(options.steps ?? []),
    ...(options.faults ?? []).map(({ atMicros, fault }): StepSpec => ({ at: at(atMicros), do: 'fault', fault })),
  ];
  return {
    name: 'skeleton',
    file: 'test/simulation/skeleton-scenario.ts',
    question: 'Does a module answer its events?',
    description: '',
    requirements: [],
    tags: [],
    fleet: {
      controller: { zone: CLOUD, location: CLOUD_PLACE },
      zones: [
        { zone: CLOUD, location: CLOUD_PLACE },
        { zone: VEHICLES, location: VEHICLES_PLACE },
      ],
      links: [
        { a: CLOUD, b: CLOUD, latency: { law: 'constant', micros: 200 }, loss: [0, 1], impairments: [] },
        { a: VEHICLES, b: VEHICLES, latency: { law: 'uniform', microsMin: 200, microsMax: 900 }, loss: [0, 1], impairments: [] },
        {
          a: CLOUD,
          b: VEHICLES,
          latency: { law: 'normal', microsMean: 20_000, microsDeviation: 4_000, microsMin: 5_000 },
          loss: [1, 100],
          impairments: [],
        },
      ],
      cells: [],
      vehicles: [],
      nodes: [node('truck-1', VEHICLES, 'x86_64'), node('truck-2', VEHICLES, 'aarch64'), node('edge-1', CLOUD, 'riscv64')],
    },
    platform: { heartbeatIntervalMs: 500, suspectAfterMs: 1_500, unavailableAfterMs: 3_000, leaseMs: 2_500, queueEventsMax: 1_000 },
    steps,
    workload: [
      {
        name: 'reading',
        subject: 'readings.brake' as Subject,
        from: VEHICLES,
        startMicros: 3 * SECOND,
        endMicros: options.workSeconds * SECOND,
        everyMicros: 100_000,
        shape: 'steady',
        burstEvents: 1,
        curve: null,
        trace: null,
        data: options.data ?? 'hello {n}',
        attemptsMax: 20,
      },
    ],
    observe: ['results' as SubjectFilter],
    observeState: [],
    goals: [],
    durationMicros: (options.workSeconds + 1) * SECOND,
    quietMicros: (options.quietSeconds ?? 10) * SECOND,
  };
}
