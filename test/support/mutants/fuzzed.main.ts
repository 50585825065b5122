// Fuzzing against many planted bugs, some at a time: progress, Ctrl-C, and what it came to, for people or as JSON. A composition root.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createProgressLine, EXIT_INTERRUPTED, onInterrupt } from '../../../sim/campaign/teller.main.ts';
import { readCaught, writeCaught } from './caught.ts';
import { Control, fuzzMutant, type FuzzBounds, type Fuzzed, type Watched } from './fuzzing.ts';
import type { Mutant } from './mutants.ts';
import { copyTree, ROOT } from './planted.ts';

const PROGRESS_MS = 1_000;
const MS_PER_MINUTE = 60_000;
/** Where the scenario of a run goes that fails on the unplanted code. */
const FINDINGS = join('reports', 'out', 'fuzz-findings');

type FuzzOptions = { readonly jobs: number; readonly json: boolean; readonly writes: boolean };

/** The exit code: 0 when all were caught, and nothing failed on the unplanted code. */
export async function fuzzMutants(mutants: readonly Mutant[], bounds: FuzzBounds, { jobs, json, writes }: FuzzOptions): Promise<number> {
  const over = new AbortController();
  const line = createProgressLine(json);
  const told: Fuzzed[] = [];
  const active = new Map<string, Watched>();
  const startMs = performance.now();
  const control = new Control(mkdtempSync(join(tmpdir(), 'wasmmatrix-fuzzed-control-')));
  const release = onInterrupt((again) => {
    line.clear();
    process.stderr.write(again ? 'Still stopping: copies of the tree are removed.\n' : 'Stopping; what was caught so far is told.\n');
    over.abort();
  });
  const timer = setInterval(() => line.draw(() => progress(told, active, mutants.length, performance.now() - startMs)), PROGRESS_MS);
  const waiting = [...mutants];
  const playNext = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined && !over.signal.aborted; mutant = waiting.shift()) {
      const { name } = mutant;
      const fuzzed = await fuzzMutant(mutant, control, bounds, over.signal, (watched) => active.set(name, watched));
      active.delete(name);
      if (fuzzed === null) continue;
      told.push(fuzzed);
      line.clear();
      keepFindings(fuzzed);
      if (!json) for (const text of linesOf(fuzzed, bounds)) process.stdout.write(`${text}\n`);
    }
  };
  try {
    copyTree(control.tree);
    await Promise.all(Array.from({ length: Math.min(jobs, mutants.length) }, playNext));
  } finally {
    clearInterval(timer);
    line.clear();
    release();
    rmSync(control.tree, { recursive: true, force: true });
  }
  const missed = told.filter(({ caught, findings }) => caught === null || findings.length > 0).length;
  if (json) process.stdout.write(`${JSON.stringify(summaryOf(told, bounds, over.signal.aborted), null, 2)}\n`);
  else process.stdout.write(`\n${told.length - missed} passed, ${missed} failed\n`);
  if (writes) keep(told, bounds);
  if (over.signal.aborted) return EXIT_INTERRUPTED;
  return missed === 0 ? 0 : 1;
}

function linesOf({ mutant, caught, findings }: Fuzzed, { runsMax }: FuzzBounds): readonly string[] {
  const first =
    caught === null
      ? `✖ ${mutant.name} (${mutant.bug}): not caught within ${runsMax} runs`
      : `✔ ${mutant.name}: caught by run ${caught.runs}, ${caught.verdict}, ${caught.goal ?? 'trouble'}: ${caught.because}`;
  return [
    first,
    ...findings.map(({ seed, because }) => `  ✖ the unplanted code fails too with ${seed}: ${because}\n    ${findingFile(seed)}`),
  ];
}

function findingFile(seed: string): string {
  return join(FINDINGS, `${seed}.scenario.yaml`);
}

function keepFindings({ findings }: Fuzzed): void {
  if (findings.length > 0) mkdirSync(join(ROOT, FINDINGS), { recursive: true });
  for (const { seed, text } of findings) writeFileSync(join(ROOT, findingFile(seed)), text);
}

function progress(told: readonly Fuzzed[], active: ReadonlyMap<string, Watched>, total: number, wallMs: number): string {
  const caught = told.filter((fuzzed) => fuzzed.caught !== null).length;
  const now = [...active].map(([name, { runs }]) => `${name} ${runs()} runs`).join(', ');
  const left = told.length === 0 ? '' : `, about ${Math.ceil(((wallMs / told.length) * (total - told.length)) / MS_PER_MINUTE)} min left`;
  return `${told.length} of ${total} bugs, ${caught} caught${left}  ${now}`;
}

function summaryOf(told: readonly Fuzzed[], { seed, runsMax, guide }: FuzzBounds, interrupted: boolean): object {
  const mutants = told.map(({ mutant, caught, findings }) => ({
    mutant: mutant.name,
    caught,
    findings: findings.map((finding) => ({ seed: finding.seed, because: finding.because, scenario: findingFile(finding.seed) })),
  }));
  return { schema: 1, seed, runsMax, guided: guide, interrupted, mutants };
}

/** What was played with another seed or bound says nothing beside the rest: it is all of one campaign. */
function keep(told: readonly Fuzzed[], { seed, runsMax }: FuzzBounds): void {
  const before = readCaught();
  const isSame = before.fuzzing.seed === seed && before.fuzzing.runsMax === runsMax;
  const now = Object.fromEntries(told.map(({ mutant, caught }) => [mutant.name, caught]));
  writeCaught({ ...before, fuzzing: { seed, runsMax, caught: { ...(isSame ? before.fuzzing.caught : {}), ...now } } });
}
