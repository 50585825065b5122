// What a run failed with, so that a smaller run can be told to fail with the same and not with something else.
import type { GoalResult, RunSummary, Verdict } from '../../../scenarios/record.ts';

export type Failure = {
  readonly verdict: Verdict;
  /** Goal or invariant; null when the run was stopped by something else. */
  readonly goal: string | null;
  /** Time ran out on it; otherwise it was broken for good. */
  readonly unconverged: boolean;
  /** What the goal says of it, or what stopped the run: its first line, without numbers and names that have one. */
  readonly essence: string;
};

/** What is broken for good explains a run better than what did not come to its end. */
export function brokenGoal({ goals }: Pick<RunSummary, 'goals'>): GoalResult | null {
  const broken = goals.filter(({ held }) => !held);
  return broken.find(({ unconverged }) => !unconverged) ?? broken[0] ?? null;
}

/** Null for a run that held, and for one that says nothing about the platform. */
export function failureOf(run: RunSummary): Failure | null {
  if (run.verdict === 'held' || run.verdict === 'cancelled' || run.verdict === 'rejected') return null;
  const goal = run.trouble === null ? brokenGoal(run) : null;
  if (goal === null) return { verdict: run.verdict, goal: null, unconverged: false, essence: essenceOf(run.trouble ?? '') };
  return { verdict: run.verdict, goal: goal.name, unconverged: goal.unconverged, essence: essenceOf(goal.because) };
}

/** With the same goal, in the same words: a goal may fail for more than one reason. */
export function failsAlike(failure: Failure, run: RunSummary): boolean {
  if (failure.goal === null) return run.verdict === failure.verdict && essenceOf(run.trouble ?? '') === failure.essence;
  return run.goals.some(
    ({ name, held, unconverged, because }) =>
      !held && name === failure.goal && unconverged === failure.unconverged && essenceOf(because) === failure.essence,
  );
}

export function describeFailure({ verdict, goal, essence }: Failure): string {
  return `${verdict}: ${goal ?? essence}`;
}

/** Names of machines, numbers and identifiers differ from run to run. */
function essenceOf(trouble: string): string {
  return (trouble.split('\n')[0] ?? '').replaceAll(/'[^']*'|\b[\w/-]*\d[\w/-]*\b/g, '#');
}
