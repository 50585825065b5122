// What a scenario refers to must exist in it, and what it asks for must be possible: a file that can never hold, or that
// tests nothing, is refused before it is played.
import { isWithinZone } from '../system/domain/identifiers.ts';
import { parseCapability } from '../system/domain/capability.ts';
import type { DeploymentSpec } from '../system/domain/deployment.ts';
import { checkGoalReferences } from './goal-references.ts';
import { known, suggest, type Path, type Source } from './mistakes.ts';
import type { FaultSpec, NodeSpec, Scenario, StepSpec, TimeSpec } from './scenario.ts';
import { OPS, STRANGER } from './steps.ts';
import { writeDuration } from './units.ts';
import { checkWorkload } from './workload-references.ts';

type Placed<K extends StepSpec['do']> = {
  readonly step: Extract<StepSpec, { readonly do: K }>;
  readonly path: Path;
  readonly order: number;
};

/** `examples`: the guests that there are; null when nobody knows. */
export function checkReferences(source: Source, scenario: Scenario, examples: readonly string[] | null): void {
  const zones = scenario.fleet.zones.map((zone) => zone.zone as string);
  const steps = scenario.steps.map((step, i) => ({ step, path: ['steps', i] as Path, order: orderOf(step, i) }));
  const of = <K extends StepSpec['do']>(kind: K): readonly Placed<K>[] =>
    steps.filter((placed): placed is Placed<K> => placed.step.do === kind);

  for (const { step, path } of steps) {
    const latest = step.at.kind === 'at' ? step.at.micros : step.at.microsMax;
    if (latest > scenario.durationMicros)
      source.mistake([...path, step.at.kind], `the step is later than the duration (${scenario.durationMicros / 1_000} ms)`);
  }
  for (const { step, path } of of('push')) {
    // Without an `example` of its own, a push takes the guest that its module is named after.
    if (examples !== null)
      known(source, [...path, source.has([...path, 'example']) ? 'example' : 'push'], 'example', step.example, examples);
    for (const [i, text] of (step.capabilities ?? []).entries()) {
      if (parseCapability(text) === null)
        source.mistake(
          [...path, 'capabilities', i],
          `found '${text}', expected clock, random, sleep, log, state-read:<prefix>, state-write:<prefix> or publish:<filter>`,
        );
    }
  }
  checkDeployments(source, scenario, of('push'), of('deploy'), zones);
  const deployments = of('deploy').map(({ step }) => step.spec.name as string);
  for (const { step, path } of of('trigger')) {
    known(source, [...path, 'deployment' in step.spec ? 'deployment' : 'trigger'], 'deployment', step.spec.deployment, deployments);
    if (step.spec.backoffMs > step.spec.backoffMsMax)
      source.mistake(
        [...path, 'backoff'],
        `the first delay (${step.spec.backoffMs} ms) is longer than the largest (${step.spec.backoffMsMax} ms)`,
      );
  }
  const authors = [OPS, ...of('push').map(({ step }) => step.author)];
  for (const { step, path } of [...of('trust'), ...of('revoke')]) known(source, [...path, step.do], 'author', step.author, authors);
  for (const { step, path } of of('push'))
    if (step.author === STRANGER) source.mistake([...path, 'by'], `'${STRANGER}' is whom nobody trusts; expected another author`);
  for (const { step, path } of of('scale')) known(source, [...path, 'scale'], 'deployment', step.deployment, deployments);
  const nodes = scenario.fleet.nodes.map(({ node }) => node as string);
  for (const { step, path } of [...of('drain'), ...of('undrain')]) known(source, [...path, step.do], 'node', step.node, nodes);
  for (const { step, path, order } of of('rollback')) {
    known(source, [...path, 'rollback'], 'deployment', step.deployment, deployments);
    const module = of('deploy').find((placed) => placed.step.spec.name === step.deployment)?.step.spec.module;
    const before = of('push').filter((placed) => placed.step.module === module && placed.step.accepted && placed.order < order).length;
    if (module !== undefined && step.version > before)
      source.mistake(
        [...path, 'version'],
        `rollback to version ${step.version}, but ${before} version${before === 1 ? ' is' : 's are'} pushed before it`,
      );
  }
  for (const { step, path } of of('fault')) checkFault(source, scenario, step.fault, path, zones);
  checkWorkload(source, scenario, zones);
  for (const [i, goal] of scenario.goals.entries()) checkGoalReferences(source, scenario, goal, ['goals', i, goal.goal]);
}

function checkDeployments(
  source: Source,
  scenario: Scenario,
  pushes: readonly Placed<'push'>[],
  deploys: readonly Placed<'deploy'>[],
  zones: readonly string[],
): void {
  for (const { step, path, order } of deploys) {
    const { spec } = step;
    const before = pushes.filter((push) => push.step.module === spec.module && push.step.accepted && push.order < order).length;
    if (before === 0)
      source.mistake(
        [...path, 'deploy'],
        `module '${spec.module}' is not pushed before it is deployed; ${whyNotPushed(spec.module, step.at, pushes)}`,
      );
    else if (spec.version !== null && spec.version > before)
      source.mistake([...path, 'version'], `version ${spec.version} of '${spec.module}' is not pushed before it is deployed`);
    known(source, [...path, 'origin'], 'zone', spec.origin, zones);
    const fitting = scenario.fleet.nodes.filter((node) => fits(node, spec));
    const room = fitting.reduce((total, node) => total + roomOn(node, spec), 0);
    if (fitting.length === 0)
      source.mistake([...path, 'needs'], `no node of the fleet can take an instance of '${spec.name}': expected a node with what it needs`);
    else if (room < spec.replicas)
      source.mistake([...path, 'replicas'], `found ${spec.replicas}, but the fleet has room for ${room} instances of '${spec.name}'`);
  }
}

function whyNotPushed(module: string, deployed: TimeSpec, pushes: readonly Placed<'push'>[]): string {
  const own = pushes.filter((push) => push.step.module === module);
  const later = own.filter((push) => push.step.accepted).sort((a, b) => a.order - b.order)[0];
  if (later !== undefined) return `it is pushed ${writeTime(later.step.at)}, and deployed ${writeTime(deployed)}`;
  if (own.length > 0) return 'its pushes are all to be refused';
  return suggest(
    module,
    pushes.map((push) => push.step.module),
  );
}

function writeTime(at: TimeSpec): string {
  return at.kind === 'at' ? `at ${writeDuration(at.micros)}` : `between ${writeDuration(at.microsMin)} and ${writeDuration(at.microsMax)}`;
}

function fits(node: NodeSpec, { requirements }: DeploymentSpec): boolean {
  return (
    (requirements.architectures.length === 0 || requirements.architectures.includes(node.architecture)) &&
    requirements.isaFeatures.every((feature) => node.isaFeatures.includes(feature)) &&
    requirements.hardware.every((hardware) => node.hardware.includes(hardware)) &&
    (requirements.within === null || isWithinZone(node.zone, requirements.within)) &&
    roomFor(node, requirements.memoryBytes, requirements.cpuMillis) > 0
  );
}

function roomOn(node: NodeSpec, { requirements }: DeploymentSpec): number {
  return roomFor(node, requirements.memoryBytes, requirements.cpuMillis);
}

function roomFor(node: NodeSpec, memoryBytes: number, cpuMillis: number): number {
  const byMemory = memoryBytes === 0 ? Number.MAX_SAFE_INTEGER : Math.floor(node.memoryBytes / memoryBytes);
  const byCpu = cpuMillis === 0 ? Number.MAX_SAFE_INTEGER : Math.floor((node.cores * 1_000) / cpuMillis);
  return Math.min(byMemory, byCpu, 1_000_000);
}

function checkFault(source: Source, scenario: Scenario, fault: FaultSpec, path: Path, zones: readonly string[]): void {
  const machines = ['controller', ...scenario.fleet.nodes.map((node) => node.node as string)];
  switch (fault.kind) {
    case 'crash':
    case 'pause':
    case 'reboot':
    case 'reset-connections':
    case 'disk-slow':
    case 'throttle':
    case 'clock-step':
    case 'clock-drift':
    case 'clock-freeze':
    case 'disk-full':
      return known(source, [...path, fault.kind], 'machine', fault.machine, machines);
    case 'upgrade':
    case 'memory-pressure':
    case 'garbage':
      return known(source, [...path, fault.kind], 'node', fault.machine, machines.slice(1));
    case 'wipe':
    case 'restore':
    case 'disk-lies':
    case 'disk-rot':
      // Faults can be repaired unless a scenario says otherwise: what the controller stores is nowhere else.
      if (fault.machine === 'controller' && !fault.lastCopy)
        source.mistake([...path, fault.kind], `the controller has the only copy of what it stores; to risk it, add 'lastCopy: true'`);
      return known(source, [...path, fault.kind], 'machine', fault.machine, machines);
    case 'partition':
      for (const [field, ends] of [
        ['partition', fault.a],
        ['from', fault.b],
      ] as const) {
        ends.forEach((end, i) => known(source, [...path, field, i], 'zone or machine', end, [...zones, ...machines]));
      }
      return undefined;
    case 'clog':
    case 'swizzle':
      fault.places.forEach((place, i) => known(source, [...path, fault.kind, i], 'zone or machine', place, [...zones, ...machines]));
      return undefined;
    case 'half-open':
      for (const [field, ends] of [
        ['half-open', fault.a],
        ['with', fault.b],
      ] as const) {
        ends.forEach((end, i) => known(source, [...path, field, i], 'zone or machine', end, [...zones, ...machines]));
      }
      return undefined;
    case 'partition-one-way':
      for (const [field, ends] of [
        ['partition-one-way', fault.from],
        ['to', fault.to],
      ] as const) {
        ends.forEach((end, i) => known(source, [...path, field, i], 'zone or machine', end, [...zones, ...machines]));
      }
      return undefined;
    case 'latency':
    case 'loss':
    case 'bandwidth':
    case 'burst-loss':
    case 'duplication':
    case 'reordering':
    case 'corruption':
      known(source, [...path, fault.kind, 0], 'zone', fault.a, zones);
      return known(source, [...path, fault.kind, 1], 'zone', fault.b, zones);
    case 'forge-artefact':
    case 'broker-outage':
    case 'broker-slow':
    case 'broker-loses-answers':
    case 'broker-repeats':
    case 'spoil-artefact':
      return undefined;
  }
}

/** Steps in the order in which they happen; a drawn time counts from its earliest. */
function orderOf(step: StepSpec, i: number): number {
  return (step.at.kind === 'at' ? step.at.micros : step.at.microsMin) * 1_000 + i;
}
