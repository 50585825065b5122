// What has to change for the node to be as desired: pure, from what is held to what is wanted. Asked again whenever anything
// changes, so it needs no memory of its own, and a newer desired state supersedes an older one by being asked about.
import type { ErrorCode } from '../../system/domain/errors.ts';
import type { Epoch, InstanceId } from '../../system/domain/identifiers.ts';
import type { Assignment } from '../../system/domain/session.ts';
import { isSameAssignment } from './same-assignment.ts';

export type HeldInstance = {
  readonly assignment: Assignment;
  readonly isDraining: boolean;
  /** Its own version may not run any more: its signer lost trust, or its artefact is gone. */
  readonly isProgramLost: boolean;
  /** It runs what the cache holds for its version now. */
  readonly isProgramCurrent: boolean;
};

export type VersionReadiness =
  | { readonly kind: 'ready' }
  | { readonly kind: 'loading' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly cause: string };

export type PlanView = {
  readonly held: ReadonlyMap<InstanceId, HeldInstance>;
  readonly readiness: (assignment: Assignment) => VersionReadiness;
  /** Safety: false before the controller confirmed this node in its present lease (R1.3). */
  readonly mayServeMovable: boolean;
  /** Epochs that a broker or store has refused: only a later one is served. */
  readonly barred: ReadonlyMap<InstanceId, Epoch>;
};

export type Step =
  /** Kill: no effect of it from here on. */
  | { readonly do: 'end'; readonly instance: InstanceId; readonly cause: string; readonly code: ErrorCode | null }
  /** Takes no more events, finishes what runs, then ends. */
  | { readonly do: 'drain'; readonly instance: InstanceId; readonly cause: string }
  | { readonly do: 'serve'; readonly assignment: Assignment }
  /** Same epoch, other version, grants, triggers or concurrency. */
  | { readonly do: 'change'; readonly assignment: Assignment }
  | { readonly do: 'fail'; readonly assignment: Assignment; readonly code: ErrorCode; readonly cause: string };

export const CAUSE_NOT_DESIRED = 'no longer desired';
export const CAUSE_SUPERSEDED = 'superseded by a later epoch';
export const CAUSE_LEASE = 'lease lapsed';
export const CAUSE_PROGRAM_LOST = 'its module may not run any more';

export function planSteps(assignments: readonly Assignment[], view: PlanView): readonly Step[] {
  const steps: Step[] = [];
  const wanted = new Map(assignments.map((assignment) => [assignment.instance, assignment]));
  for (const [instance, held] of view.held) {
    if (wanted.has(instance)) continue;
    if (held.isProgramLost) steps.push({ do: 'end', instance, cause: CAUSE_PROGRAM_LOST, code: 'WM_SIGNER_UNTRUSTED' });
    else if (held.assignment.movable && !view.mayServeMovable)
      steps.push({ do: 'end', instance, cause: CAUSE_LEASE, code: 'WM_LEASE_LAPSED' });
    else if (!held.isDraining) steps.push({ do: 'drain', instance, cause: CAUSE_NOT_DESIRED });
  }
  for (const assignment of wanted.values()) steps.push(...planOne(assignment, view));
  return steps;
}

function planOne(assignment: Assignment, view: PlanView): readonly Step[] {
  const { instance } = assignment;
  const steps: Step[] = [];
  const held = view.held.get(instance) ?? null;
  const end = (cause: string, code: ErrorCode | null): void => {
    if (held !== null) steps.push({ do: 'end', instance, cause, code });
  };
  if ((view.barred.get(instance) ?? -1) >= assignment.epoch) {
    end(CAUSE_SUPERSEDED, 'WM_FENCED');
    return steps;
  }
  if (!view.mayServeMovable && (assignment.movable || held?.assignment.movable === true)) {
    end(CAUSE_LEASE, 'WM_LEASE_LAPSED');
    if (assignment.movable) return steps;
    return [...steps, ...serveWhenReady(assignment, view.readiness(assignment))];
  }
  const readiness = view.readiness(assignment);
  if (held === null) return serveWhenReady(assignment, readiness);
  if (held.assignment.epoch !== assignment.epoch) {
    end(CAUSE_SUPERSEDED, null);
    return [...steps, ...serveWhenReady(assignment, readiness)];
  }
  if (readiness.kind === 'refused') {
    // What the controller is told and what the node does are the same: an instance that cannot run what is desired has failed.
    end(readiness.cause, readiness.code);
    return [...steps, ...serveWhenReady(assignment, readiness)];
  }
  if (readiness.kind === 'loading') {
    // The version it has goes on until the other is there, unless that one may not run any more.
    if (held.isProgramLost) end(CAUSE_PROGRAM_LOST, 'WM_SIGNER_UNTRUSTED');
    return steps;
  }
  if (held.isDraining || !held.isProgramCurrent || !isSameAssignment(held.assignment, assignment)) steps.push({ do: 'change', assignment });
  return steps;
}

function serveWhenReady(assignment: Assignment, readiness: VersionReadiness): readonly Step[] {
  switch (readiness.kind) {
    case 'ready':
      return [{ do: 'serve', assignment }];
    case 'refused':
      return [{ do: 'fail', assignment, code: readiness.code, cause: readiness.cause }];
    case 'loading':
      return [];
    default:
      return readiness satisfies never;
  }
}
