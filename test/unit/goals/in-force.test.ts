// A deployment that is applied twice and a module that is pushed twice: goals judge each decision by what was in force then.
import { describe, expect, it } from 'vitest';
import { proximity, resources } from '../../../scenarios/goals/placement.ts';
import { capabilities } from '../../../scenarios/goals/capabilities.ts';
import { signatures } from '../../../scenarios/goals/supply-chain.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { SPREAD_NODE, type DeploymentSpec } from '../../../system/domain/deployment.ts';
import type { ModuleName, ZonePath } from '../../../system/domain/identifiers.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { at, nodeOf, pushOf, scenarioOf, specOf, triggerOf } from '../../support/scenarios/scenario.ts';

/** Steps 0 and 1 are deploys of `echo`. */
const applied = (...specs: readonly Partial<DeploymentSpec>[]): Scenario =>
  scenarioOf({ steps: specs.map((spec) => ({ at: at(0), do: 'deploy', spec: specOf(spec) })) });
const commands = (step: number): RunRecord => said(1 * S, 'operator.commanded', { id: `c${step}`, command: 'deployment-apply', step });
const takesEffect = (step: number): RunRecord =>
  said(
    1 * S,
    'deployment.applied',
    { deployment: 'echo', module: 'echo', version: 1, replicas: 1, revision: 1 },
    { correlation: `c${step}` },
  );
const answers = (step: number, outcome: 'done' | 'unknown' = 'done'): RunRecord =>
  said(1 * S, 'operator.answered', { id: `c${step}`, command: 'deployment-apply', outcome, code: null, sequence: 1, micros: 1 });
const applies = (step: number): readonly RunRecord[] => [commands(step), takesEffect(step), answers(step)];
const turns = (ordinal: number, node: string | null, to = 'assigned', from = 'pending'): RunRecord =>
  said(2 * S, 'instance.state', { instance: `echo/${ordinal}`, deployment: 'echo', from, to, node, epoch: 1, version: 1, cause: 'placed' });

describe('P6', () => {
  const together = [turns(0, 'a-1'), turns(1, 'a-1')];

  it('holds instances apart by the deployment in force, not by the last one', () => {
    const loosened = applied({ spread: SPREAD_NODE }, { spread: 0 });
    expect(judge(proximity(loosened), [...applies(0), ...together]).held).toBe(false);
    expect(judge(proximity(loosened), [...applies(0), ...applies(1), ...together]).held).toBe(true);
    const tightened = applied({ spread: 0 }, { spread: SPREAD_NODE });
    expect(judge(proximity(tightened), [...applies(0), ...together]).held).toBe(true);
    expect(judge(proximity(tightened), [...applies(0), ...applies(1), ...together]).held).toBe(false);
  });

  it('takes both for possible while nobody outside knows which one is in force', () => {
    const tightened = applied({ spread: 0 }, { spread: SPREAD_NODE });
    expect(judge(proximity(tightened), [...applies(0), commands(1), ...together]).held).toBe(true);
    expect(judge(proximity(tightened), [...applies(0), commands(1), answers(1, 'unknown'), ...together]).held).toBe(true);
    // An answer says so where a controller died before it told.
    expect(judge(proximity(tightened), [...applies(0), commands(1), answers(1), ...together]).held).toBe(false);
  });
});

describe('P7', () => {
  const needs = (requirements: Partial<DeploymentSpec['requirements']>): Partial<DeploymentSpec> => ({
    requirements: { ...specOf().requirements, cpuMillis: 0, ...requirements },
  });

  it('promises what was asked for when it was placed', () => {
    const grown = applied(needs({ memoryBytes: 1 }), needs({ memoryBytes: 40 * 1_048_576 }));
    const both = [turns(0, 'a-1'), turns(1, 'a-1')];
    expect(judge(resources(grown), [...applies(0), ...both]).held).toBe(true);
    expect(judge(resources(grown), [...applies(0), ...applies(1), ...both])).toMatchObject({ held: false, machine: 'a-1' });
    // What runs was promised what it was placed with.
    const runs = [...applies(0), ...both, ...applies(1), turns(0, 'a-1', 'running', 'assigned')];
    expect(judge(resources(grown), runs).held).toBe(true);
  });

  it('is broken by an architecture that was excluded then', () => {
    const widened = applied(needs({ architectures: ['aarch64'] }), needs({ architectures: [] }));
    expect(judge(resources(widened), [...applies(0), turns(0, 'a-1')]).held).toBe(false);
    expect(judge(resources(widened), [...applies(0), ...applies(1), turns(0, 'a-1')]).held).toBe(true);
  });

  it('is broken by a place without the instructions, the hardware or the zone that it needs', () => {
    const judged = (requirements: Partial<DeploymentSpec['requirements']>, node: string): string => {
      const scenario = applied(needs(requirements));
      const nodes = [
        nodeOf('a-1', 'cloud/a', { isaFeatures: ['sse4.2'], hardware: ['camera'] }),
        nodeOf('ab-1', 'cloud/ab', {}),
        nodeOf('a-2', 'cloud/a/rack', { isaFeatures: ['sse4.2', 'avx2'], hardware: ['camera', 'gpu'] }),
      ];
      return judge(resources({ ...scenario, fleet: { ...scenario.fleet, nodes } }), [turns(0, node)]).because;
    };
    expect(judged({ isaFeatures: ['avx2'] }, 'a-1')).toBe(
      'Instance echo/0 needs the instructions avx2 and was placed on a-1, which has sse4.2.',
    );
    expect(judged({ hardware: ['camera', 'gpu'] }, 'ab-1')).toBe(
      'Instance echo/0 needs the hardware camera and was placed on ab-1, which has none.',
    );
    expect(judged({ within: 'cloud/a' as ZonePath }, 'ab-1')).toBe(
      'Instance echo/0 needs to be within cloud/a and was placed on ab-1, which is in cloud/ab.',
    );
    expect(judged({ isaFeatures: ['avx2'], hardware: ['gpu'], within: 'cloud/a' as ZonePath }, 'a-2')).toBe('');
  });
});

it('P3 looks for the key of the module that the deployment ran then', () => {
  const OTHER = 'ed25519:other';
  const stores = (module: string, key: string): RunRecord =>
    said(1 * S, 'module.stored', { module, version: 1, digest: `d-${module}`, key });
  const scenario = applied({}, { module: 'other' as ModuleName });
  const ran = (micros: number): RunRecord =>
    said(micros, 'invocation.started', { node: 'a-1', instance: 'echo/0', epoch: 1, version: 1, trigger: 'echo', event: 'e1', attempt: 1 });
  const before = [
    ...['ed25519:ops', OTHER].map((key) => said(0, 'trust.added', { key })),
    stores('echo', 'ed25519:ops'),
    stores('other', OTHER),
    said(2 * S, 'trust.revoked', { key: 'ed25519:ops' }),
  ];
  expect(judge(signatures(scenario), [...before, ...applies(0), ran(40 * S)])).toMatchObject({ held: false, machine: 'a-1' });
  expect(judge(signatures(scenario), [...before, ...applies(0), ...applies(1), ran(40 * S)]).held).toBe(true);
});

describe('P5', () => {
  const scenario = scenarioOf({
    steps: [
      pushOf({ capabilities: ['state-write:a/', 'state-write:b/'] }),
      pushOf({ capabilities: ['state-write:a/'] }),
      { at: at(0), do: 'deploy', spec: specOf() },
      { at: at(0), do: 'trigger', spec: triggerOf() },
    ],
  });
  const pushes = (step: number): readonly RunRecord[] => [
    said(1 * S, 'operator.commanded', { id: `c${step}`, command: 'module-push', step }),
    said(1 * S, 'module.stored', { module: 'echo', version: step + 1, digest: `d${step}`, key: 'k' }, { correlation: `c${step}` }),
  ];
  const runs = (version: number, correlation: string): RunRecord =>
    said(
      2 * S,
      'invocation.started',
      { node: 'a-1', instance: 'echo/0', epoch: 1, version, trigger: 'echo', event: correlation, attempt: 1 },
      { correlation },
    );
  const writes = (key: string, correlation: string): RunRecord =>
    said(2 * S + MS, 'state.written', { key, version: 1, bytes: 1, instance: 'echo/0', epoch: 1 }, { correlation });
  const judged = (...records: readonly RunRecord[]): boolean =>
    judge(capabilities(scenario), [...pushes(0), ...pushes(1), ...records]).held;

  it('grants a guest what its own version was granted', () => {
    expect(judged(runs(1, 'e1'), writes('b/x', 'e1'))).toBe(true);
    expect(judged(runs(2, 'e1'), writes('b/x', 'e1'))).toBe(false);
    expect(judged(runs(2, 'e1'), writes('a/x', 'e1'))).toBe(true);
  });

  it('grants what any of them was where it is not known which one ran', () => {
    // Two attempts of one event, one of each version, and a guest that nobody told of.
    expect(judged(runs(1, 'e1'), runs(2, 'e1'), writes('b/x', 'e1'))).toBe(true);
    expect(judged(writes('b/x', 'e9'))).toBe(true);
    expect(judged(writes('c/x', 'e9'))).toBe(false);
  });
});
