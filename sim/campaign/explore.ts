// Which run of a campaign comes next: drawn afresh, or near one that met something new. What it decides follows from the seed of
// the campaign and from what the runs before the present batch came to, told in their order: never from time or threads.
import type { FaultKind } from '../../scenarios/scenario.ts';
import { assert } from '../../system/domain/outcome.ts';
import { Dice } from './draw/dice.ts';
import { drawNear, freshPlan, type Plan } from './draw/draw.ts';

/** Bound: plans that are remembered; the oldest is forgotten. */
export const CORPUS_MAX = 256;
/** Remembered plans that are looked at for each choice; the one with the rarest pair is taken. */
const CANDIDATES = 4;
/** Runs drawn at once: few at first, so that what they find is soon followed, later more, so that threads are kept busy. */
const BATCHES = [8, 16, 32] as const;

type Remembered = {
  readonly plan: Plan;
  /** Pairs that its run was the first to meet, of those that held. */
  readonly pairs: readonly string[];
  chosen: number;
};

export type ExplorerOptions = {
  /** Of the campaign. */
  readonly seed: string;
  readonly kinds: readonly FaultKind[];
  /** False: every run is drawn afresh. */
  readonly isGuided: boolean;
};

/** Runs of a batch, counted from 0: a campaign that is longer begins with the batches of a shorter one. */
export function batchSize(batch: number): number {
  return BATCHES[Math.min(batch, BATCHES.length - 1)] ?? 1;
}

export class Explorer {
  readonly #options: ExplorerOptions;
  readonly #corpus: Remembered[] = [];
  /** Runs that held and met each pair. What only a run that failed met is still news: nothing is drawn near such a run. */
  readonly #runs = new Map<string, number>();

  constructor(options: ExplorerOptions) {
    this.#options = options;
  }

  /** The plan of run `index`, counted from 0, whose seed this is. */
  planOf(index: number, seed: string): Plan {
    const { kinds, isGuided } = this.#options;
    const dice = new Dice(this.#options.seed, `run ${index}`);
    if (!isGuided || this.#corpus.length === 0 || dice.chance(1, 2)) return freshPlan(seed, kinds);
    const parent = this.#choose(dice);
    const other = dice.pick(this.#corpus);
    return drawNear(dice, seed, parent.plan, other.plan, kinds);
  }

  /** What a run that held met; runs are told in the order of the campaign. Returns what no run before it had. */
  learn(plan: Plan, pairs: readonly string[]): readonly string[] {
    const news = pairs.filter((pair) => !this.#runs.has(pair));
    for (const pair of pairs) this.#runs.set(pair, (this.#runs.get(pair) ?? 0) + 1);
    if (news.length === 0) return news;
    this.#corpus.push({ plan, pairs: news, chosen: 0 });
    if (this.#corpus.length > CORPUS_MAX) this.#corpus.shift();
    return news;
  }

  #choose(dice: Dice): Remembered {
    const rarity = ({ pairs }: Remembered): number => Math.min(...pairs.map((pair) => this.#runs.get(pair) ?? 0));
    const candidates = dice.sample(this.#corpus, CANDIDATES);
    const [chosen] = [...candidates].sort((a, b) => rarity(a) - rarity(b) || a.chosen - b.chosen);
    assert(chosen !== undefined, 'there is a plan to be near to');
    chosen.chosen += 1;
    return chosen;
  }
}
