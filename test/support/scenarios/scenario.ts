// Scenarios as values, for tests of what comes after loading: one region with two zones, three nodes, one deployment.
import type { DeploymentSpec, TriggerSpec } from '../../../system/domain/deployment.ts';
import type {
  DeploymentName,
  ModuleName,
  NodeId,
  Subject,
  SubjectFilter,
  TriggerName,
  ZonePath,
} from '../../../system/domain/identifiers.ts';
import type { GoalSpec, NodeSpec, Scenario, StepSpec, WorkloadSpec } from '../../../scenarios/scenario.ts';
import { S } from './records.ts';

export function nodeOf(node: string, zone: string, other: Partial<NodeSpec> = {}): NodeSpec {
  return {
    node: node as NodeId,
    zone: zone as ZonePath,
    faultDomain: `${zone}/${node}` as ZonePath,
    location: { latitude: 50, longitude: 8 },
    architecture: 'x86_64',
    isaFeatures: [],
    cores: 1,
    memoryBytes: 64 * 1_048_576,
    hardware: [],
    fuelPerMicro: 1_000,
    thermal: null,
    battery: null,
    clock: null,
    startMicros: 0,
    ...other,
  };
}

export function specOf(other: Partial<DeploymentSpec> = {}): DeploymentSpec {
  return {
    name: 'echo' as DeploymentName,
    module: 'echo' as ModuleName,
    version: null,
    replicas: 1,
    origin: 'cloud/a' as ZonePath,
    requirements: { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 16 * 1_048_576, cpuMillis: 400 },
    spread: 0,
    whenUnreachable: 'move',
    concurrency: 4,
    ...other,
  };
}

export function triggerOf(other: Partial<TriggerSpec> = {}): TriggerSpec {
  return {
    name: 'echo' as TriggerName,
    subject: 'questions.*' as SubjectFilter,
    deployment: 'echo' as DeploymentName,
    result: 'answers.echo' as Subject,
    deliveriesMax: 8,
    ackWaitMs: 2_000,
    backoffMs: 100,
    backoffMsMax: 5_000,
    ...other,
  };
}

export const at = (micros: number): StepSpec['at'] => ({ kind: 'at', micros });

export function pushOf(other: Partial<Extract<StepSpec, { do: 'push' }>> = {}): StepSpec {
  return {
    at: at(0),
    do: 'push',
    module: 'echo' as ModuleName,
    example: 'echo',
    capabilities: [],
    limits: {},
    model: null,
    signing: 'trusted',
    author: 'ops',
    accepted: true,
    ...other,
  };
}

export function workloadOf(other: Partial<WorkloadSpec> = {}): WorkloadSpec {
  return {
    name: 'questions',
    subject: 'questions.plain' as Subject,
    from: 'cloud/a' as ZonePath,
    startMicros: 0,
    endMicros: 1 * S,
    everyMicros: 100_000,
    shape: 'steady',
    burstEvents: 1,
    curve: null,
    trace: null,
    data: '{n}',
    attemptsMax: 3,
    ...other,
  };
}

/** Pushes and deploys `echo` and binds it to `questions.*`, unless other steps are given. */
export function scenarioOf(other: Partial<Scenario> = {}): Scenario {
  return {
    name: 'by-hand',
    file: 'scenarios/catalogue/by-hand.scenario.yaml',
    question: 'Does it hold?',
    description: '',
    requirements: ['P1'],
    tags: [],
    fleet: {
      controller: { zone: 'cloud/a' as ZonePath, location: { latitude: 50, longitude: 8 } },
      zones: [
        { zone: 'cloud/a' as ZonePath, location: { latitude: 50, longitude: 8 } },
        { zone: 'cloud/b' as ZonePath, location: { latitude: 51, longitude: 9 } },
      ],
      links: [],
      cells: [],
      vehicles: [],
      nodes: [nodeOf('a-1', 'cloud/a'), nodeOf('a-2', 'cloud/a'), nodeOf('b-1', 'cloud/b', { architecture: 'aarch64' })],
    },
    platform: { heartbeatIntervalMs: 500, suspectAfterMs: 1_500, unavailableAfterMs: 3_000, leaseMs: 2_500, queueEventsMax: 200 },
    steps: [pushOf(), { at: at(0), do: 'deploy', spec: specOf() }, { at: at(0), do: 'trigger', spec: triggerOf() }],
    workload: [],
    observe: [],
    observeState: [],
    goals: [],
    durationMicros: 10 * S,
    quietMicros: 5 * S,
    ...other,
  };
}

export const deployed = (other: Partial<DeploymentSpec>): Scenario =>
  scenarioOf({ steps: [pushOf(), { at: at(0), do: 'deploy', spec: specOf(other) }, { at: at(0), do: 'trigger', spec: triggerOf() }] });

export const withGoal = (goal: string, parameters: GoalSpec['parameters']): Scenario => scenarioOf({ goals: [{ goal, parameters }] });
