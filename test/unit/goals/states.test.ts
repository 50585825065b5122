// Each named state: records that complete it, and some that do not.
import { expect, test } from 'vitest';
import { STATE_NAMES, StateWatch } from '../../../scenarios/goals/goals.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { S, said } from '../../support/scenarios/records.ts';

const guest = { instance: 'echo/0', epoch: 1, version: 1, trigger: 'echo', event: 'e1', attempt: 1 };
const begins = (node: string, event = 'e1'): RunRecord => said(1 * S, 'invocation.started', { ...guest, node, event });
const ends = (node: string, outcome = 'completed'): RunRecord =>
  said(2 * S, 'invocation.finished', { ...guest, node, outcome, fuel: 1, memoryBytesPeak: 1, micros: 1, hostCalls: 0 });
const lease = (node: string, state: 'held' | 'lapsed'): RunRecord => said(1 * S, 'agent.lease', { node, state });
const session = (state: 'connected' | 'lost'): RunRecord => said(1 * S, 'agent.session', { node: 'a-1', state, attempt: 1, cause: '' });
const stops = (machine: string): RunRecord =>
  said(3 * S, 'machine.stopped', { machine, role: machine === 'controller' ? 'controller' : 'node', cause: 'power loss' });
const starts = (machine: string): RunRecord => said(3 * S, 'machine.started', { machine, role: 'node', zone: 'z', incarnation: 2 });
const pauses = (machine: string): RunRecord => said(3 * S, 'machine.paused', { machine });
const becomes = (node: string, to: string): RunRecord =>
  said(3 * S, 'node.status', { node, incarnation: 1, from: 'healthy', to, cause: '' });
const enrols = (node: string): RunRecord =>
  said(1 * S, 'node.enrolled', { node, incarnation: 1, architecture: 'x86_64', zone: 'z', cores: 1, memoryBytes: 1, profile: '' });
const fault = (kind: string): RunRecord => said(1 * S, 'fault.begun', { fault: kind, kind, target: 'a-1', detail: '' });
const commands = said(1 * S, 'operator.commanded', { id: 'c1', command: 'scale', step: null });
const answers = (outcome: 'done' | 'unknown'): RunRecord =>
  said(2 * S, 'operator.answered', { id: 'c1', command: 'scale', outcome, code: null, sequence: 1, micros: 1 });
const accepts = said(1 * S, 'rollback.accepted', { deployment: 'echo', from: 2, to: 1 });
const issues = said(1 * S, 'rollback.issued', { deployment: 'echo', version: 1, nodes: 1, micros: 1 });
const leads = (sequence: number, entries: number): RunRecord => said(1 * S, 'controller.started', { term: 2, sequence, entries });
const fetches = said(1 * S, 'artefact.fetched', { node: 'a-1', artefact: 'x', bytes: 1 });
const refuses = (code: 'WM_BUS_FULL' | 'WM_BUS_CONSUMER_UNKNOWN'): RunRecord =>
  said(1 * S, 'event.refused', { event: 'e', subject: 's', code });
const goes = (to: string): RunRecord =>
  said(1 * S, 'instance.state', {
    instance: 'echo/0',
    deployment: 'echo',
    from: 'assigned',
    to,
    node: 'a-1',
    epoch: 1,
    version: 1,
    cause: '',
  });

type Case = { readonly reached: readonly RunRecord[]; readonly not?: readonly (readonly RunRecord[])[] };

/** `reached`: the last record completes the state, and no earlier one does. */
const CASES: Readonly<Record<(typeof STATE_NAMES)[number], Case>> = {
  'lease-lapsed-over-guest': {
    reached: [begins('a-1'), lease('a-1', 'lapsed')],
    not: [
      [begins('a-1'), ends('a-1'), lease('a-1', 'lapsed')],
      [begins('a-2'), lease('a-1', 'lapsed')],
    ],
  },
  'leases-lapsed-everywhere': {
    reached: [lease('a-1', 'held'), lease('a-2', 'held'), lease('a-1', 'lapsed'), lease('a-2', 'lapsed')],
    // One that was alone from the beginning is not everybody, and a machine that is off lets nothing lapse.
    not: [
      [lease('a-1', 'held'), lease('a-1', 'lapsed')],
      [lease('a-1', 'held'), lease('a-2', 'held'), stops('a-1'), stops('a-2')],
    ],
  },
  'guest-cut-off': {
    reached: [begins('a-1'), stops('a-1')],
    not: [
      [begins('a-1'), ends('a-1', 'WM_GUEST_TRAP'), stops('a-1')],
      [begins('a-2'), stops('a-1')],
    ],
  },
  'guest-outlives-node': {
    reached: [enrols('a-2'), begins('a-1'), becomes('a-1', 'unavailable')],
    not: [[begins('a-1'), becomes('a-1', 'suspect')]],
  },
  'work-without-controller': { reached: [session('lost'), begins('a-1')], not: [[session('lost'), session('connected'), begins('a-1')]] },
  'event-run-elsewhere': {
    reached: [begins('a-1'), stops('a-1'), begins('a-2')],
    not: [
      [begins('a-1'), ends('a-1'), begins('a-2')],
      [begins('a-1'), begins('a-1')],
      [begins('a-1'), begins('a-2', 'e2')],
    ],
  },
  'delivery-dead-lettered': {
    reached: [said(1 * S, 'event.deadlettered', { consumer: 'c', event: 'e', sequence: 1, attempts: 1, code: 'x' })],
  },
  'stale-effect-refused': { reached: [said(1 * S, 'effect.fenced', { what: 'ack', instance: 'echo/0', epoch: 1, current: 2 })] },
  'queue-full': { reached: [refuses('WM_BUS_FULL')], not: [[refuses('WM_BUS_CONSUMER_UNKNOWN')]] },
  'publication-repeated': { reached: [said(1 * S, 'event.duplicate', { event: 'e', subject: 's', sequence: 1 })] },
  'snapshot-restored': { reached: [leads(60, 12)], not: [[leads(0, 0)], [leads(10, 14)], [leads(10, 10)]] },
  'controller-lost-midcommand': {
    reached: [commands, stops('controller')],
    not: [
      [commands, answers('done'), stops('controller')],
      [commands, stops('a-1')],
    ],
  },
  'controller-lost-midrollback': { reached: [accepts, stops('controller')], not: [[accepts, issues, stops('controller')]] },
  'command-in-doubt': { reached: [commands, answers('unknown')], not: [[commands, answers('done')]] },
  'two-nodes-down': {
    reached: [stops('a-1'), pauses('a-2')],
    not: [
      [stops('a-1'), stops('controller')],
      [pauses('controller'), stops('a-1')],
      [stops('a-1'), starts('a-1'), stops('a-2')],
      [pauses('a-1'), stops('a-1')],
    ],
  },
  'every-node-given-up': {
    reached: [enrols('a-1'), enrols('a-2'), becomes('a-1', 'unavailable'), becomes('a-2', 'unavailable')],
    not: [[enrols('a-1'), enrols('a-2'), becomes('a-1', 'unavailable'), enrols('a-1'), becomes('a-2', 'unavailable')]],
  },
  'node-taken-back': {
    reached: [becomes('a-1', 'unavailable'), becomes('a-1', 'healthy')],
    not: [[becomes('a-1', 'suspect'), becomes('a-1', 'healthy')]],
  },
  'node-lost-while-draining': {
    reached: [enrols('a-2'), becomes('a-1', 'draining'), becomes('a-1', 'suspect'), becomes('a-1', 'unavailable')],
    not: [
      [becomes('a-1', 'draining'), becomes('a-1', 'healthy'), becomes('a-1', 'unavailable')],
      [enrols('a-2'), becomes('a-2', 'draining'), becomes('a-1', 'unavailable')],
    ],
  },
  'placement-impossible': { reached: [said(1 * S, 'placement.refused', { instance: 'echo/0', why: '' })] },
  'instance-failed': { reached: [goes('failed')], not: [[goes('running')]] },
  'artefact-refused': {
    reached: [said(1 * S, 'artefact.refused', { node: 'a-1', module: 'm', version: 1, artefact: 'x', code: 'WM_SIGNATURE_INVALID' })],
  },
  'artefact-fetched-again': { reached: [fetches, fetches], not: [[fetches]] },
  'faults-overlap': {
    reached: [fault('crash'), fault('loss'), fault('pause')],
    not: [[fault('crash'), fault('loss'), said(1 * S, 'fault.ended', { fault: 'crash', kind: 'crash', target: 'a-1' }), fault('pause')]],
  },
};

test('the orderly end of a run is no state that it got into', () => {
  const watch = new StateWatch();
  const records = [begins('a-1'), commands, said(9 * S, 'run.phase', { phase: 'end' }), stops('a-1'), stops('a-2'), stops('controller')];
  expect(records.flatMap((record) => watch.next(record))).toEqual([]);
});

test.each(STATE_NAMES)('%s', (name) => {
  const { reached, not = [] } = CASES[name];
  const watch = new StateWatch();
  const found = reached.map((record) => watch.next(record).includes(name));
  expect(found).toEqual(reached.map((_, i) => i === reached.length - 1));
  for (const records of not) {
    const other = new StateWatch();
    expect(records.filter((record) => other.next(record).includes(name))).toEqual([]);
  }
});
