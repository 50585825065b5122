// What an agent does to become what is desired, case by case.
import { describe, expect, test } from 'vitest';
import { CAUSE_LEASE, CAUSE_NOT_DESIRED, CAUSE_PROGRAM_LOST, CAUSE_SUPERSEDED, planSteps } from '../../../agents/lifecycle/plan.ts';
import type { HeldInstance, PlanView, VersionReadiness } from '../../../agents/lifecycle/plan.ts';
import type { Assignment } from '../../../system/domain/session.ts';
import { assignmentOf, bindingOf, epoch } from '../../support/agent/assignments.ts';

const READY: VersionReadiness = { kind: 'ready' };
const LOADING: VersionReadiness = { kind: 'loading' };
const REFUSED: VersionReadiness = { kind: 'refused', code: 'WM_SIGNATURE_INVALID', cause: 'forged' };

function held(assignment: Assignment, fields: Partial<HeldInstance> = {}): HeldInstance {
  return { assignment, isDraining: false, isProgramLost: false, isProgramCurrent: true, ...fields };
}

function view(
  fields: {
    readonly held?: readonly HeldInstance[];
    readonly readiness?: VersionReadiness;
    readonly mayServeMovable?: boolean;
    readonly barred?: PlanView['barred'];
  } = {},
): PlanView {
  return {
    held: new Map((fields.held ?? []).map((one) => [one.assignment.instance, one])),
    readiness: () => fields.readiness ?? READY,
    mayServeMovable: fields.mayServeMovable ?? true,
    barred: fields.barred ?? new Map(),
  };
}

const echo = assignmentOf('echo/0');

describe('what is desired and not held', () => {
  test('is served when its module is ready', () => {
    expect(planSteps([echo], view())).toEqual([{ do: 'serve', assignment: echo }]);
  });
  test('waits while its module is on its way', () => {
    expect(planSteps([echo], view({ readiness: LOADING }))).toEqual([]);
  });
  test('fails when its module is refused', () => {
    expect(planSteps([echo], view({ readiness: REFUSED }))).toEqual([
      { do: 'fail', assignment: echo, code: 'WM_SIGNATURE_INVALID', cause: 'forged' },
    ]);
  });
  test('is not served without a lease when it may be placed elsewhere', () => {
    expect(planSteps([echo], view({ mayServeMovable: false }))).toEqual([]);
  });
  test('is served without a lease when it stays', () => {
    const stays = assignmentOf('echo/0', { movable: false });
    expect(planSteps([stays], view({ mayServeMovable: false }))).toEqual([{ do: 'serve', assignment: stays }]);
  });
  test('is not served in an epoch that was fenced, and is in a later one', () => {
    const barred = new Map([[echo.instance, epoch(1)]]);
    expect(planSteps([echo], view({ barred }))).toEqual([]);
    const later = assignmentOf('echo/0', { epoch: epoch(2) });
    expect(planSteps([later], view({ barred }))).toEqual([{ do: 'serve', assignment: later }]);
  });
});

describe('what is held', () => {
  test('is left alone when nothing changed: applying is idempotent', () => {
    expect(planSteps([echo], view({ held: [held(echo)] }))).toEqual([]);
    expect(planSteps([{ ...echo }], view({ held: [held(echo)] }))).toEqual([]);
  });
  test('drains when it is not desired any more, once', () => {
    expect(planSteps([], view({ held: [held(echo)] }))).toEqual([{ do: 'drain', instance: echo.instance, cause: CAUSE_NOT_DESIRED }]);
    expect(planSteps([], view({ held: [held(echo, { isDraining: true })] }))).toEqual([]);
  });
  test('serves on when it is desired again while it drains', () => {
    expect(planSteps([echo], view({ held: [held(echo, { isDraining: true })] }))).toEqual([{ do: 'change', assignment: echo }]);
  });
  test('is killed and served anew in a later epoch', () => {
    const later = assignmentOf('echo/0', { epoch: epoch(2) });
    expect(planSteps([later], view({ held: [held(echo)] }))).toEqual([
      { do: 'end', instance: echo.instance, cause: CAUSE_SUPERSEDED, code: null },
      { do: 'serve', assignment: later },
    ]);
  });
  test('changes version, triggers and concurrency without an end', () => {
    for (const other of [
      assignmentOf('echo/0', { version: 2 }),
      assignmentOf('echo/0', { triggers: [bindingOf('t')] }),
      assignmentOf('echo/0', { concurrency: 4 }),
    ]) {
      expect(planSteps([other], view({ held: [held(echo)] }))).toEqual([{ do: 'change', assignment: other }]);
    }
  });
  test('keeps its version until the other one is there', () => {
    const other = assignmentOf('echo/0', { version: 2 });
    expect(planSteps([other], view({ held: [held(echo)], readiness: LOADING }))).toEqual([]);
  });
  test('does not keep a version that lost its trust', () => {
    const other = assignmentOf('echo/0', { version: 2 });
    expect(planSteps([other], view({ held: [held(echo, { isProgramLost: true })], readiness: LOADING }))).toEqual([
      { do: 'end', instance: echo.instance, cause: CAUSE_PROGRAM_LOST, code: 'WM_SIGNER_UNTRUSTED' },
    ]);
  });
  test('ends and fails when what is desired is refused', () => {
    expect(planSteps([echo], view({ held: [held(echo)], readiness: REFUSED }))).toEqual([
      { do: 'end', instance: echo.instance, cause: 'forged', code: 'WM_SIGNATURE_INVALID' },
      { do: 'fail', assignment: echo, code: 'WM_SIGNATURE_INVALID', cause: 'forged' },
    ]);
  });
  test('ends without a lease, even while it drains, unless it stays', () => {
    const lapsed = { do: 'end', instance: echo.instance, cause: CAUSE_LEASE, code: 'WM_LEASE_LAPSED' };
    expect(planSteps([echo], view({ held: [held(echo)], mayServeMovable: false }))).toEqual([lapsed]);
    expect(planSteps([], view({ held: [held(echo, { isDraining: true })], mayServeMovable: false }))).toEqual([lapsed]);
    const stays = assignmentOf('echo/0', { movable: false });
    expect(planSteps([stays], view({ held: [held(stays)], mayServeMovable: false }))).toEqual([]);
  });
});
