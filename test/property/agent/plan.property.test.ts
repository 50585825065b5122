// Whatever is held and whatever is wanted: the plan converges in one go, and never serves movable work without a lease.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planSteps } from '../../../agents/lifecycle/plan.ts';
import type { HeldInstance, PlanView, VersionReadiness } from '../../../agents/lifecycle/plan.ts';
import { assert } from '../../../system/domain/outcome.ts';
import type { InstanceId } from '../../../system/domain/identifiers.ts';
import type { Assignment } from '../../../system/domain/session.ts';
import { assignmentOf, epoch } from '../../support/agent/assignments.ts';

const assignment = fc
  .record({ ordinal: fc.nat(3), epoch: fc.integer({ min: 1, max: 3 }), version: fc.integer({ min: 1, max: 3 }), movable: fc.boolean() })
  .map((drawn) => assignmentOf(`echo/${drawn.ordinal}`, { epoch: epoch(drawn.epoch), version: drawn.version, movable: drawn.movable }));
const assignments = fc.uniqueArray(assignment, { selector: (one) => one.instance, maxLength: 4 });
const held = fc
  .tuple(
    assignments,
    fc.array(fc.record({ isDraining: fc.boolean(), isProgramLost: fc.boolean(), isProgramCurrent: fc.boolean() }), {
      minLength: 4,
      maxLength: 4,
    }),
  )
  .map(([list, flags]) =>
    list.map((one, i): HeldInstance => ({ assignment: one, isDraining: false, isProgramLost: false, isProgramCurrent: true, ...flags[i] })),
  );
const readiness = fc.constantFrom<VersionReadiness>(
  { kind: 'ready' },
  { kind: 'loading' },
  { kind: 'refused', code: 'WM_SIGNATURE_INVALID', cause: 'forged' },
);
const situation = fc.record({
  held,
  assignments,
  byVersion: fc.array(readiness, { minLength: 4, maxLength: 4 }),
  mayServeMovable: fc.boolean(),
  barred: fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 3 }))),
});

type World = Map<InstanceId, HeldInstance>;

/** What the shell does with the steps. Draining ends at once here, as it does when nothing runs. */
function apply(world: World, wanted: readonly Assignment[], view: Omit<PlanView, 'held'>): World {
  const next: World = new Map(world);
  for (const step of planSteps(wanted, { ...view, held: world })) {
    if (step.do === 'end' || step.do === 'drain') next.delete(step.instance);
    if (step.do === 'serve') {
      assert(!next.has(step.assignment.instance), 'nothing is served twice');
      next.set(step.assignment.instance, { assignment: step.assignment, isDraining: false, isProgramLost: false, isProgramCurrent: true });
    }
    if (step.do === 'change') {
      assert(next.get(step.assignment.instance)?.assignment.epoch === step.assignment.epoch, 'a change keeps the epoch');
      next.set(step.assignment.instance, { assignment: step.assignment, isDraining: false, isProgramLost: false, isProgramCurrent: true });
    }
  }
  return next;
}

test('one plan is enough, and a second one has nothing to do but say again what failed', () => {
  fc.assert(
    fc.property(situation, (drawn) => {
      const view: Omit<PlanView, 'held'> = {
        readiness: (one) => drawn.byVersion[one.version] ?? { kind: 'loading' },
        mayServeMovable: drawn.mayServeMovable,
        barred: new Map(drawn.barred.map(([ordinal, number]) => [`echo/${ordinal}` as InstanceId, epoch(number)])),
      };
      const before: World = new Map(drawn.held.map((one) => [one.assignment.instance, one]));
      const after = apply(before, drawn.assignments, view);
      const again = planSteps(drawn.assignments, { ...view, held: after });
      expect(again.filter((step) => step.do !== 'fail')).toEqual([]);
      for (const one of after.values()) {
        const isWanted = drawn.assignments.some(
          (wanted) => wanted.instance === one.assignment.instance && wanted.epoch === one.assignment.epoch,
        );
        expect(isWanted || one.isDraining).toBe(true);
        assert(drawn.mayServeMovable || !one.assignment.movable, 'movable work needs a lease');
        assert(!isWanted || (view.barred.get(one.assignment.instance) ?? 0) < one.assignment.epoch, 'a fenced epoch is over');
      }
    }),
    { numRuns: 2_000 },
  );
});
