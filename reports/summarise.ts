// What a suite of runs comes to: runs grouped by scenario, one verdict each, the exit code. Pure; knows records only.
import type { GoalResult, RunSummary, SometimesSummary, Verdict } from '../scenarios/record.ts';

/** Worst first: a suite is as good as its worst run. */
const SEVERITY: readonly Verdict[] = ['bug', 'nondeterministic', 'violated', 'unconverged', 'rejected', 'cancelled', 'held'];

/** Exit codes of the command line (architecture §9). 130 is what shells use for an interrupt. */
const EXIT_CODES: Readonly<Record<Verdict, number>> = {
  held: 0,
  violated: 1,
  rejected: 2,
  unconverged: 3,
  nondeterministic: 4,
  bug: 70,
  cancelled: 130,
};

export function worstVerdict(verdicts: readonly Verdict[]): Verdict {
  return SEVERITY.find((verdict) => verdicts.includes(verdict)) ?? 'held';
}

/** What never happened counts as not held where that was asked for, and where nothing worse did. */
export function exitCodeOf(suite: {
  readonly runs: readonly Pick<RunSummary, 'verdict'>[];
  readonly sometimes?: readonly SometimesSummary[];
  readonly requireSometimes?: boolean;
}): number {
  const code = EXIT_CODES[worstVerdict(suite.runs.map((run) => run.verdict))];
  const isLacking = suite.requireSometimes === true && (suite.sometimes ?? []).some(({ reached }) => reached === 0);
  return code === 0 && isLacking ? EXIT_CODES.violated : code;
}

/** The world whose time is virtual; elsewhere time is only played. */
export const SIMULATED = 'sim';

export type ScenarioGroup = {
  readonly scenario: string;
  readonly world: string;
  readonly question: string;
  readonly runs: readonly RunSummary[];
  readonly verdict: Verdict;
  readonly simulatedMicros: number;
  readonly wallMs: number;
  /** Simulated time over wall time; null when no time passed. */
  readonly ratio: number | null;
};

/** A group for each scenario in each world, in the order in which they first appear. */
export function groupByScenario(runs: readonly RunSummary[]): readonly ScenarioGroup[] {
  const groups = new Map<string, RunSummary[]>();
  for (const run of runs) {
    const key = `${run.scenario} ${run.world}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((members) => {
    const simulatedMicros = sum(members.map((run) => run.simulatedMicros));
    const wallMs = sum(members.map((run) => run.wallMs));
    return {
      scenario: members[0]?.scenario ?? '',
      world: members[0]?.world ?? '',
      question: members[0]?.question ?? '',
      runs: members,
      verdict: worstVerdict(members.map((run) => run.verdict)),
      simulatedMicros,
      wallMs,
      ratio: wallMs > 0 ? simulatedMicros / 1_000 / wallMs : null,
    };
  });
}

/** The goal that explains a failed run: broken for good before not reached in time. */
export function decidingGoal(run: RunSummary): GoalResult | null {
  const broken = run.goals.filter((goal) => !goal.held);
  return broken.find((goal) => !goal.unconverged) ?? broken[0] ?? null;
}

/** One sentence that says why a run did not hold; empty when it did. */
export function causeOf(run: RunSummary): string {
  if (run.verdict === 'held') return '';
  return run.trouble ?? decidingGoal(run)?.because ?? `The run ended as ${run.verdict}.`;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
