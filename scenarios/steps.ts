// Resolves the steps of a scenario: times, defaults, and one typed step for each. What they refer to is checked elsewhere.
import { SPREAD_NODE } from '../system/domain/deployment.ts';
import type { DeploymentName, ModuleName, NodeId, Subject, SubjectFilter, TriggerName, ZonePath } from '../system/domain/identifiers.ts';
import type { Architecture } from '../system/domain/node.ts';
import { modelOf } from './guest-model.ts';
import { impairmentOf } from './impairments.ts';
import type { Path, Source } from './mistakes.ts';
import type { FaultSpec, SigningSpec, StepSpec, TimeSpec } from './scenario.ts';
import { isRecord, STEP_KINDS } from './shape.ts';
import { parseDuration, parseRatio, parseShift, parseSize } from './units.ts';

/** Who signs where nothing is said. */
export const OPS = 'ops';
/** Whose key nobody trusts. */
export const STRANGER = 'stranger';
const INSTANCE_MEMORY_BYTES = 16 * 1_048_576;
const INSTANCE_CPU_MILLIS = 100;

type Fields = Readonly<Record<string, unknown>>;

/** Which kind of step it is: the field that names it. */
export function stepKindOf(step: Fields): string {
  return STEP_KINDS.find((kind) => kind in step) ?? '';
}

export function resolveStep(source: Source, step: Fields, path: Path): StepSpec | null {
  const at = timeOf(source, step, path);
  const fault = faultOf(source, step, path);
  if (fault !== null) return { at, do: 'fault', fault };
  switch (stepKindOf(step)) {
    case 'push':
      return { at, ...push(source, step, path) };
    case 'trust':
      return { at, do: 'trust', author: String(step['trust']), forMicros: step['for'] === undefined ? null : duration(step['for']) };
    case 'revoke':
      return { at, do: 'revoke', author: String(step['revoke']) };
    case 'deploy':
      return { at, ...deploy(step) };
    case 'trigger':
      return { at, ...trigger(step) };
    case 'scale':
      return { at, do: 'scale', deployment: String(step['scale']) as DeploymentName, replicas: Number(step['replicas']) };
    case 'rollback':
      return { at, do: 'rollback', deployment: String(step['rollback']) as DeploymentName, version: Number(step['version']) };
    case 'drain':
      return { at, do: 'drain', node: String(step['drain']) as NodeId };
    case 'undrain':
      return { at, do: 'undrain', node: String(step['undrain']) as NodeId };
    default:
      return null;
  }
}

function timeOf(source: Source, step: Fields, path: Path): TimeSpec {
  const { at, between } = step;
  if (!Array.isArray(between)) return { kind: 'at', micros: duration(at) };
  const [microsMin = 0, microsMax = 0] = between.map(duration);
  if (microsMin > microsMax) source.mistake([...path, 'between'], 'the first time is later than the second');
  return { kind: 'between', microsMin, microsMax };
}

function faultOf(source: Source, step: Fields, path: Path): FaultSpec | null {
  const forMicros = duration(step['for']);
  const ends = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
  const impairment = impairmentOf(source, stepKindOf(step), step, path);
  if (impairment !== null) {
    const [a = '', b = ''] = ends(step[impairment.kind]);
    return { ...impairment, a, b, forMicros };
  }
  switch (stepKindOf(step)) {
    case 'crash':
      return { kind: 'crash', machine: String(step['crash']), forMicros: step['for'] === 'ever' ? null : forMicros };
    case 'pause':
      return { kind: 'pause', machine: String(step['pause']), forMicros };
    case 'broker-outage':
      return { kind: 'broker-outage', forMicros };
    case 'broker-slow':
      return { kind: 'broker-slow', byMicros: duration(step['by']), forMicros };
    case 'broker-loses-answers':
      return { kind: 'broker-loses-answers', ratio: parseRatio(String(step['ratio'])) ?? [0, 1], forMicros };
    case 'broker-repeats':
      return { kind: 'broker-repeats', ratio: parseRatio(String(step['ratio'])) ?? [0, 1], forMicros };
    case 'reset-connections':
      return { kind: 'reset-connections', machine: String(step['reset-connections']), forMicros: 0 };
    case 'spoil-artefact':
      return { kind: 'spoil-artefact', how: step['how'] as 'truncated' | 'changed' | 'swapped', forMicros };
    case 'garbage':
      return { kind: 'garbage', machine: String(step['garbage']), forMicros };
    case 'reboot':
      return { kind: 'reboot', machine: String(step['reboot']), forMicros };
    case 'upgrade':
      return { kind: 'upgrade', machine: String(step['upgrade']), version: String(step['version']), forMicros };
    case 'wipe':
      return { kind: 'wipe', machine: String(step['wipe']), lastCopy: step['lastCopy'] === true, forMicros };
    case 'restore': {
      const offMicros = duration(step['off']);
      if (offMicros > forMicros)
        source.mistake([...path, 'off'], `the machine is off for the last part of the time, and ${String(step['for'])} is all there is`);
      return { kind: 'restore', machine: String(step['restore']), offMicros, lastCopy: step['lastCopy'] === true, forMicros };
    }
    case 'disk-slow':
      return { kind: 'disk-slow', machine: String(step['disk-slow']), factor: Number(step['factor']), forMicros };
    case 'disk-lies':
      return { kind: 'disk-lies', machine: String(step['disk-lies']), lastCopy: step['lastCopy'] === true, forMicros };
    case 'disk-rot':
      return { kind: 'disk-rot', machine: String(step['disk-rot']), lastCopy: step['lastCopy'] === true, forMicros: 0 };
    case 'throttle':
      return { kind: 'throttle', machine: String(step['throttle']), factor: Number(step['factor']), forMicros };
    case 'memory-pressure':
      return {
        kind: 'memory-pressure',
        machine: String(step['memory-pressure']),
        leavesBytes: parseSize(String(step['leaves'])) ?? 0,
        forMicros,
      };
    case 'clock-step': {
      const byMicros = parseShift(String(step['by'])) ?? 0;
      if (byMicros % 1_000 !== 0 || byMicros === 0)
        source.mistake(
          [...path, 'by'],
          `found ${JSON.stringify(step['by'])}, expected whole milliseconds, not 0: civil time has no finer parts`,
        );
      return { kind: 'clock-step', machine: String(step['clock-step']), byMicros, forMicros };
    }
    case 'clock-drift':
      return { kind: 'clock-drift', machine: String(step['clock-drift']), ppm: Number(step['ppm']), forMicros };
    case 'clock-freeze':
      return { kind: 'clock-freeze', machine: String(step['clock-freeze']), forMicros };
    case 'partition':
      return { kind: 'partition', a: ends(step['partition']), b: ends(step['from']), forMicros };
    case 'partition-one-way':
      return { kind: 'partition-one-way', from: ends(step['partition-one-way']), to: ends(step['to']), forMicros };
    case 'latency': {
      const [a = '', b = ''] = ends(step['latency']);
      return { kind: 'latency', a, b, factor: [Number(step['factor']), 1], forMicros };
    }
    case 'loss': {
      const [a = '', b = ''] = ends(step['loss']);
      const loss = parseRatio(String(step['ratio']));
      if (loss === null || loss[0] === loss[1])
        source.mistake(
          [...path, 'ratio'],
          `found ${JSON.stringify(step['ratio'])}, expected a chance below 1; to cut a link use partition`,
        );
      return { kind: 'loss', a, b, loss: loss ?? [0, 1], forMicros };
    }
    case 'clog':
    case 'swizzle':
      return { kind: stepKindOf(step) as 'clog' | 'swizzle', places: ends(step[stepKindOf(step)]), forMicros };
    case 'half-open':
      return { kind: 'half-open', a: ends(step['half-open']), b: ends(step['with']), forMicros };
    case 'disk-full':
      return { kind: 'disk-full', machine: String(step['disk-full']), forMicros };
    case 'forge-artefact':
      return { kind: 'forge-artefact', forMicros };
    default:
      return null;
  }
}

function push(source: Source, step: Fields, path: Path): Omit<Extract<StepSpec, { do: 'push' }>, 'at'> {
  const module = String(step['push']);
  const limits = isRecord(step['limits']) ? step['limits'] : {};
  const signing = (step['signing'] as SigningSpec | undefined) ?? 'trusted';
  const memoryBytesMax = parseSize(String(limits['memory']));
  const outputBytesMax = parseSize(String(limits['output']));
  return {
    do: 'push',
    module: module as ModuleName,
    example: typeof step['example'] === 'string' ? step['example'] : module,
    capabilities: Array.isArray(step['capabilities']) ? step['capabilities'].map(String) : null,
    limits: {
      ...(typeof limits['fuel'] === 'number' ? { fuelMax: limits['fuel'] } : {}),
      ...(memoryBytesMax === null ? {} : { memoryBytesMax }),
      ...(outputBytesMax === null ? {} : { outputBytesMax }),
    },
    model: isRecord(step['model']) ? modelOf(source, step['model'], [...path, 'model']) : null,
    signing,
    author: typeof step['by'] === 'string' ? step['by'] : OPS,
    accepted: typeof step['accepted'] === 'boolean' ? step['accepted'] : signing === 'trusted',
  };
}

function deploy(step: Fields): Omit<Extract<StepSpec, { do: 'deploy' }>, 'at'> {
  const name = String(step['deploy']);
  const needs = isRecord(step['needs']) ? step['needs'] : {};
  const words = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
  const spread = step['spread'];
  return {
    do: 'deploy',
    spec: {
      name: name as DeploymentName,
      module: (typeof step['module'] === 'string' ? step['module'] : name) as ModuleName,
      version: typeof step['version'] === 'number' ? step['version'] : null,
      replicas: typeof step['replicas'] === 'number' ? step['replicas'] : 1,
      origin: String(step['origin']) as ZonePath,
      requirements: {
        architectures: words(needs['architectures']) as readonly Architecture[],
        isaFeatures: words(needs['isaFeatures']),
        hardware: words(needs['hardware']),
        within: typeof needs['within'] === 'string' ? (needs['within'] as ZonePath) : null,
        memoryBytes: parseSize(String(needs['memory'])) ?? INSTANCE_MEMORY_BYTES,
        cpuMillis: typeof needs['cpu'] === 'number' ? needs['cpu'] : INSTANCE_CPU_MILLIS,
      },
      spread: spread === 'node' ? SPREAD_NODE : typeof spread === 'number' ? spread : 0,
      whenUnreachable: step['whenUnreachable'] === 'stay' ? 'stay' : 'move',
      ...(step['whenNearer'] === 'move' ? { whenNearer: 'move' } : {}),
      concurrency: typeof step['concurrency'] === 'number' ? step['concurrency'] : 4,
    },
  };
}

function trigger(step: Fields): Omit<Extract<StepSpec, { do: 'trigger' }>, 'at'> {
  const name = String(step['trigger']);
  const millis = (value: unknown, fallback: number): number => (typeof value === 'string' ? Math.ceil(duration(value) / 1_000) : fallback);
  return {
    do: 'trigger',
    spec: {
      name: name as TriggerName,
      subject: String(step['on']) as SubjectFilter,
      deployment: (typeof step['deployment'] === 'string' ? step['deployment'] : name) as DeploymentName,
      result: typeof step['result'] === 'string' ? (step['result'] as Subject) : null,
      deliveriesMax: typeof step['deliveries'] === 'number' ? step['deliveries'] : 8,
      ackWaitMs: millis(step['ackWait'], 2_000),
      backoffMs: millis(step['backoff'], 100),
      backoffMsMax: millis(step['backoffMax'], 5_000),
    },
  };
}

function duration(value: unknown): number {
  return parseDuration(String(value)) ?? 0;
}
