// Fuzzing against planted bugs: `fuzz` as a user gets it, from one first seed, in a copy of the tree with one bug planted, until a run
// fails that holds on the unplanted code. A run that fails on both says nothing of the bug: it is a finding of its own, and is told.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { causeOf } from '../../../reports/summarise.ts';
import type { FuzzFailure, FuzzSummary } from '../../../sim/campaign/fuzz-summary.ts';
import type { ByFuzzing } from './caught.ts';
import { firstLine, type Mutant } from './mutants.ts';
import { CONTROL_PREFIX, copyCopy, patch, play, wasmmatrix } from './planted.ts';

/** Bound: failures of one campaign that the unplanted code has too; with so many there is enough to look at. */
const FINDINGS_MAX = 3;

export type FuzzBounds = { readonly seed: string; readonly runsMax: number; readonly guide: boolean };

/** A run that failed on the unplanted code too: why, and its scenario. */
export type Finding = { readonly seed: string; readonly because: string; readonly text: string };

export type Fuzzed = {
  readonly mutant: Mutant;
  /** Null: not within the bound. */
  readonly caught: ByFuzzing | null;
  readonly findings: readonly Finding[];
};

/** Tells how many runs were played so far. */
export type Watched = { readonly runs: () => number };

/** An unplanted copy of the tree. Many bugs are found by the same run: what it comes to there is played once. */
export class Control {
  readonly tree: string;
  readonly #troubles = new Map<string, Promise<string | null>>();

  constructor(tree: string) {
    this.tree = tree;
  }

  /** Null when the run holds; otherwise why not. */
  troubleOf(scenario: string, seed: string): Promise<string | null> {
    const text = readFileSync(scenario, 'utf8');
    const trouble = this.#troubles.get(text) ?? this.#play(text, seed);
    this.#troubles.set(text, trouble);
    return trouble;
  }

  /** In a folder of its own, so that several may be played at a time. */
  async #play(text: string, seed: string): Promise<string | null> {
    const folder = mkdtempSync(join(this.tree, CONTROL_PREFIX));
    const file = join(folder, 'failed.scenario.yaml');
    writeFileSync(file, text);
    const { exitCode, runs, stderr } = await play(this.tree, [file], ['--seed', seed], '1', join(folder, 'out'));
    if (exitCode === 0) return null;
    const run = runs?.[0];
    if (run === undefined)
      throw new Error(`The run of ${seed} was not played on the unplanted code (exit code ${exitCode}): ${stderr.slice(-800)}`);
    return firstLine(causeOf(run) ?? run.verdict);
  }
}

/**
 * Null when it was interrupted. Throws when `fuzz` says nothing, as where a bug stops it from starting.
 */
export async function fuzzMutant(
  mutant: Mutant,
  control: Control,
  { seed, runsMax, guide }: FuzzBounds,
  signal: AbortSignal,
  watch: (watched: Watched) => void,
): Promise<Fuzzed | null> {
  const tree = mkdtempSync(join(tmpdir(), `wasmmatrix-fuzzed-${mutant.name}-`));
  const out = join(tree, 'out');
  watch({ runs: () => linesOf(join(out, 'plans.jsonl')) });
  const findings: Finding[] = [];
  try {
    await copyCopy(control.tree, tree);
    if (signal.aborted) return null;
    patch(tree, mutant);
    for (;;) {
      const failures = String(findings.length + 1);
      const args = [
        'fuzz',
        '--seed',
        seed,
        '--runs',
        String(runsMax),
        '--failures',
        failures,
        '--jobs',
        '1',
        '--json',
        '--quiet',
        '--out',
        out,
      ];
      const { exitCode, stdout, stderr } = await wasmmatrix(tree, guide ? args : [...args, '--no-guide'], signal);
      if (signal.aborted) return null;
      if (stdout === '') throw new Error(`fuzz with ${mutant.name} said nothing (exit code ${exitCode}): ${stderr.slice(-800)}`);
      const summary = JSON.parse(stdout) as FuzzSummary;
      const failure = summary.failures[findings.length];
      if (failure === undefined) return { mutant, caught: null, findings };
      // Told as seen from the copy.
      const scenario = resolve(tree, failure.scenario);
      const trouble = await control.troubleOf(scenario, failure.seed);
      if (trouble === null) return { mutant, caught: caughtBy(summary, failure), findings };
      findings.push({ seed: failure.seed, because: trouble, text: readFileSync(scenario, 'utf8') });
      if (findings.length >= FINDINGS_MAX) return { mutant, caught: null, findings };
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function caughtBy({ runs }: FuzzSummary, { verdict, goal, because }: FuzzFailure): ByFuzzing {
  return { runs, verdict, goal, because: firstLine(because) };
}

function linesOf(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}
