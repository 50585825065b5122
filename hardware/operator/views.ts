// How the views of the operator API are shown to people, and what they are as plain data. Pure.
import type { DeploymentView, InstanceView } from '../../system/domain/deployment.ts';
import { nameOfCell, type MatrixCell } from '../../system/domain/matrix.ts';
import type { ModuleVersion, TrustedKey } from '../../system/domain/module.ts';
import { levelOf } from '../../system/domain/isa.ts';
import type { NodeView } from '../../system/domain/node.ts';
import type { EventView } from '../../system/domain/watch.ts';
import type { Column } from './tables.ts';

const KIB = 1_024;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const PERMILLE_OF_PERCENT = 10;

function describeBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= KIB && unit < UNITS.length - 1) {
    value /= KIB;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `2026-11-25 23:40:01`, UTC. */
function describeTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

const none = (list: readonly string[]): string => (list.length === 0 ? '-' : list.join(','));
const shorten = (digest: string): string => digest.replace('sha256:', '').slice(0, 12);

const NODES: readonly Column<NodeView>[] = [
  { title: 'NODE', of: ({ facts }) => facts.node },
  { title: 'STATUS', of: ({ status }) => status },
  { title: 'ARCH', of: ({ facts }) => facts.architecture },
  { title: 'CORES', of: ({ facts }) => String(facts.cores) },
  { title: 'MEMORY', of: ({ facts }) => describeBytes(facts.memoryBytes) },
  { title: 'ZONE', of: ({ facts }) => facts.zone },
  { title: 'CPU', of: ({ load }) => (load === null ? '-' : `${Math.round(load.cpuPermille / PERMILLE_OF_PERCENT)} %`) },
  { title: 'RUNNING', of: ({ load }) => (load === null ? '-' : String(load.invocationsActive)) },
  { title: 'SINCE', of: ({ sinceMs }) => describeTime(sinceMs) },
  { title: 'LEVEL', wide: true, of: ({ facts }) => levelOf(facts.architecture, facts.isaFeatures).name },
  { title: 'ISA FEATURES', wide: true, of: ({ facts }) => none(facts.isaFeatures) },
  { title: 'INCARNATION', wide: true, of: ({ incarnation }) => String(incarnation) },
  { title: 'FAULT DOMAIN', wide: true, of: ({ facts }) => facts.faultDomain },
  { title: 'HARDWARE', wide: true, of: ({ facts }) => none(facts.hardware) },
  { title: 'VERSION', wide: true, of: ({ facts }) => facts.agentVersion },
  { title: 'ENDPOINT', wide: true, of: ({ facts }) => facts.endpoint },
  { title: 'CAUSE', of: ({ cause }) => cause },
];

const MODULES: readonly Column<ModuleVersion>[] = [
  { title: 'MODULE', of: ({ manifest }) => manifest.name },
  { title: 'VERSION', of: ({ version }) => String(version) },
  { title: 'SIZE', of: ({ sizeBytes }) => describeBytes(sizeBytes) },
  { title: 'DIGEST', of: ({ manifest }) => shorten(manifest.digest) },
  { title: 'SIGNED BY', of: ({ signature }) => signature.key },
  { title: 'CAPABILITIES', of: ({ manifest }) => none(manifest.capabilities) },
  { title: 'FUEL', wide: true, of: ({ manifest }) => String(manifest.limits.fuelMax) },
  { title: 'MEMORY', wide: true, of: ({ manifest }) => describeBytes(manifest.limits.memoryBytesMax) },
];

const DEPLOYMENTS: readonly Column<DeploymentView>[] = [
  { title: 'DEPLOYMENT', of: ({ spec }) => spec.name },
  { title: 'MODULE', of: ({ spec }) => spec.module },
  { title: 'VERSION', of: ({ version }) => String(version) },
  { title: 'REPLICAS', of: ({ spec }) => String(spec.replicas) },
  { title: 'PLACED', of: ({ decisions }) => String(decisions.filter(({ chosen }) => chosen !== null).length) },
  { title: 'ORIGIN', of: ({ spec }) => spec.origin },
  {
    title: 'TRIGGERS',
    of: ({ triggers }) => none(triggers.map(({ name, subject, result }) => `${name}: ${subject}${result === null ? '' : ` > ${result}`}`)),
  },
  { title: 'REVISION', wide: true, of: ({ revision }) => String(revision) },
];

const INSTANCES: readonly Column<InstanceView>[] = [
  { title: 'INSTANCE', of: ({ id }) => id },
  { title: 'STATE', of: ({ state }) => state },
  { title: 'NODE', of: ({ node }) => node ?? '-' },
  { title: 'MODULE', of: ({ module, version }) => `${module}@${version}` },
  { title: 'EPOCH', of: ({ epoch }) => String(epoch) },
  { title: 'SINCE', of: ({ sinceMs }) => describeTime(sinceMs) },
  { title: 'CAUSE', of: ({ cause }) => cause },
];

const TRUST: readonly Column<TrustedKey>[] = [
  { title: 'KEY', of: ({ key }) => key },
  { title: 'STATE', of: ({ revoked }) => (revoked ? 'revoked' : 'trusted') },
  { title: 'UNTIL', of: ({ notAfterMs }) => (notAfterMs === undefined ? '-' : describeTime(notAfterMs)) },
  { title: 'MAY GRANT', of: ({ mayGrant }) => none(mayGrant) },
];

const EVENTS: readonly Column<EventView>[] = [
  { title: 'TIME', of: ({ timeMs }) => describeTime(timeMs) },
  { title: 'EVENT', of: ({ kind }) => kind },
  {
    title: 'WHAT',
    of: ({ fields }) =>
      Object.entries(fields)
        .filter(([, value]) => value !== null && value !== '')
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(' '),
  },
  { title: 'CORRELATION', wide: true, of: ({ correlation }) => correlation ?? '-' },
];

const MICROS_PER_MS = 1_000;

/** The name comes first: `get matrix hello@2` selects by it. */
const MATRIX: readonly Column<MatrixCell>[] = [
  { title: 'CELL', of: nameOfCell },
  { title: 'STATE', of: ({ state }) => state },
  { title: 'SIZE', of: ({ sizeBytes }) => (sizeBytes === null ? '-' : describeBytes(sizeBytes)) },
  { title: 'COMPILED IN', of: ({ compileMicros }) => (compileMicros === null ? '-' : `${(compileMicros / MICROS_PER_MS).toFixed(1)} ms`) },
  { title: 'ARTEFACT', of: ({ artefact }) => (artefact === null ? '-' : shorten(artefact)) },
  { title: 'PROFILE', wide: true, of: ({ profile }) => shorten(profile) },
  { title: 'TARGET', wide: true, of: ({ target }) => target },
  { title: 'ISA FEATURES', wide: true, of: ({ features }) => none(features) },
  { title: 'WHY NOT', of: ({ code, why }) => (why === '' ? '-' : code === null ? why : `${code}: ${why}`) },
];

export const COLUMNS = {
  nodes: NODES,
  modules: MODULES,
  deployments: DEPLOYMENTS,
  instances: INSTANCES,
  trust: TRUST,
  events: EVENTS,
  matrix: MATRIX,
} as const;

export type ViewKind = keyof typeof COLUMNS;

/** Plain data for JSON and YAML: bytes become base64. */
export function plainOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainOf(inner)]));
  return value;
}
