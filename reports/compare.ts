// The same scenario in several worlds, side by side: verdicts, and each figure of each goal. Pure; knows records only.
import type { RunSummary, Verdict } from '../scenarios/record.ts';
import { worstVerdict } from './summarise.ts';

export type ComparedFigure = {
  readonly name: string;
  /** The largest of all seeds, for each world; null where no run measured it. */
  readonly values: readonly (number | null)[];
};

export type ComparedGoal = {
  readonly name: string;
  readonly claim: string;
  readonly figures: readonly ComparedFigure[];
};

export type Comparison = {
  readonly scenario: string;
  readonly question: string;
  readonly worlds: readonly string[];
  /** The worst of all seeds, for each world. */
  readonly verdicts: readonly Verdict[];
  /** Goals that measured something. */
  readonly goals: readonly ComparedGoal[];
};

/** Scenarios that were played in more than one world, in the order in which they first appear. */
export function compareWorlds(runs: readonly RunSummary[]): readonly Comparison[] {
  const scenarios = [...new Set(runs.map((run) => run.scenario))];
  return scenarios.flatMap((scenario) => {
    const mine = runs.filter((run) => run.scenario === scenario);
    const worlds = [...new Set(mine.map((run) => run.world))];
    if (worlds.length < 2) return [];
    const each = worlds.map((world) => mine.filter((run) => run.world === world));
    return [
      {
        scenario,
        question: mine[0]?.question ?? '',
        worlds,
        verdicts: each.map((members) => worstVerdict(members.map((run) => run.verdict))),
        goals: goalsOf(each),
      },
    ];
  });
}

/** Goals of one scenario stand in the same order in all its runs. The claim is that of the last world, with the slack that it adds to budgets. */
function goalsOf(worlds: readonly (readonly RunSummary[])[]): readonly ComparedGoal[] {
  const judged = worlds.flat().findLast((run) => run.goals.length > 0);
  return (judged?.goals ?? []).flatMap(({ name, claim }, i) => {
    const names = new Set(worlds.flatMap((runs) => runs.flatMap((run) => Object.keys(run.goals[i]?.figures ?? {}))));
    if (names.size === 0) return [];
    const figures = [...names].map((figure) => ({
      name: figure,
      values: worlds.map((runs) => {
        const values = runs.flatMap((run) => run.goals[i]?.figures[figure] ?? []);
        return values.length === 0 ? null : Math.max(...values);
      }),
    }));
    return [{ name, claim, figures }];
  });
}
