// Planted bugs: each patch in this folder makes one known-bad variant of the platform, which its scenarios must catch with a
// sentence that points at it, while the same scenarios hold on the unchanged tree (the control). A harness that lets one of
// them pass proves nothing about the rest.
// Usage: node test/mutants/run.main.ts [mutant…] [--all] [--write] [--jobs N]
// Without a name those of the gate; with --all every one, which --write makes docs/reference/mutants.md of. The canary comes
// first in any case. Prints one line for each and `N passed, N failed` at the end.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { causeOf } from '../../reports/summarise.ts';
import type { RunSummary, SuiteSummary } from '../../scenarios/record.ts';
import {
  CANARY,
  firstLine,
  judgeMutant,
  MUTANTS,
  MUTANTS_PAGE,
  mutantsPage,
  readMutants,
  type Caught,
  type Mutant,
} from '../support/mutants/mutants.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

type Verdicts = { readonly exitCode: number; readonly runs: readonly RunSummary[] | null; readonly stderr: string };

/** The tracked and new files of the working tree, so that a mutant is made of what is being tested. */
function copyTree(to: string): void {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of files.split('\0')) {
    if (file === '' || !existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(ROOT, file), join(to, file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(to, 'node_modules'));
}

/** What the command line takes for a scenario of the catalogue, or of the regressions. */
function argumentOf(scenario: string): string {
  const regression = join('scenarios', 'regressions', `${scenario}.scenario.yaml`);
  return existsSync(join(ROOT, regression)) ? regression : scenario;
}

async function play(tree: string, scenarios: readonly string[], seeds: number, jobs: string | undefined): Promise<Verdicts> {
  const out = join(tree, 'out');
  rmSync(out, { recursive: true, force: true });
  const args = ['cli.ts', 'run', ...scenarios.map(argumentOf), '--seeds', String(seeds), '--json', '--quiet', '--out', out];
  const child = spawn(process.execPath, jobs === undefined ? args : [...args, '--jobs', jobs], {
    cwd: tree,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stdout.resume();
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  const summary = join(out, 'summary.json');
  return { exitCode, runs: existsSync(summary) ? (JSON.parse(readFileSync(summary, 'utf8')) as SuiteSummary).runs : null, stderr };
}

function patch(tree: string, { name }: Mutant, ...options: readonly string[]): void {
  execFileSync('git', ['apply', '--whitespace=nowarn', ...options, join(MUTANTS, `${name}.patch`)], {
    cwd: tree,
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) },
  });
}

/** Each scenario once, with as many seeds as the mutant that needs most of them. Null: all of them hold. */
async function controlTrouble(tree: string, mutants: readonly Mutant[], jobs: string | undefined): Promise<string | null> {
  const seedsOf = new Map<string, number>();
  for (const { scenarios, seeds } of mutants)
    for (const scenario of scenarios) seedsOf.set(scenario, Math.max(seeds, seedsOf.get(scenario) ?? 0));
  for (const seeds of new Set(seedsOf.values())) {
    const scenarios = [...seedsOf.keys()].filter((scenario) => seedsOf.get(scenario) === seeds);
    const { exitCode, runs, stderr } = await play(tree, scenarios, seeds, jobs);
    if (exitCode !== 0)
      return `exit code ${exitCode}: ${runs?.map(causeOf).filter(Boolean).map(firstLine).join(' | ') ?? stderr.slice(-800)}`;
  }
  return null;
}

async function plant(tree: string, mutant: Mutant, jobs: string | undefined): Promise<Caught | string> {
  patch(tree, mutant);
  try {
    const { exitCode, runs, stderr } = await play(tree, mutant.scenarios, mutant.seeds, jobs);
    return runs === null ? `no summary was written (exit code ${exitCode}): ${stderr.slice(-800)}` : judgeMutant(mutant, { runs });
  } finally {
    patch(tree, mutant, '--reverse');
  }
}

function choose(names: readonly string[], all: boolean): readonly Mutant[] {
  const mutants = readMutants();
  const unknown = names.filter((name) => !mutants.some((mutant) => mutant.name === name));
  if (unknown.length > 0)
    throw new Error(`No mutant is called ${unknown.join(' or ')}; there are ${mutants.map(({ name }) => name).join(', ')}.`);
  const chosen = mutants.filter(({ name, gate }) => all || (names.length === 0 ? gate === true : names.includes(name)));
  return [...mutants.filter(({ name }) => name === CANARY), ...chosen.filter(({ name }) => name !== CANARY)];
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, jobs: { type: 'string' } },
  });
  if (values.write && !values.all) throw new Error('The page has a row for each mutant: --write goes with --all.');
  const mutants = choose(positionals, values.all);
  const rows: { mutant: Mutant; caught: Caught }[] = [];
  let failures = 0;
  const fail = (line: string): void => {
    failures += 1;
    process.stdout.write(`✖ ${line}\n`);
  };
  const tree = mkdtempSync(join(tmpdir(), 'wasmmatrix-mutant-'));
  try {
    copyTree(tree);
    const trouble = await controlTrouble(tree, mutants, values.jobs);
    if (trouble !== null) fail(`the control does not hold: ${trouble}`);
    for (const mutant of mutants) {
      const caught = await plant(tree, mutant, values.jobs);
      if (typeof caught === 'string') fail(`${mutant.name} (${mutant.bug}): ${caught}`);
      else {
        rows.push({ mutant, caught });
        process.stdout.write(
          `✔ ${mutant.name}: caught by ${caught.scenario}, ${mutant.goal}, with seed ${caught.seed}: ${caught.because}\n`,
        );
      }
      if (mutant.name === CANARY && failures > 0) {
        fail('the canary or the control failed: what comes after it would prove nothing.');
        break;
      }
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
  if (values.write && failures === 0)
    writeFileSync(MUTANTS_PAGE, mutantsPage(rows.sort((a, b) => (a.mutant.name < b.mutant.name ? -1 : 1))));
  process.stdout.write(`\n${rows.length} passed, ${failures} failed\n`);
  process.exitCode = failures === 0 && rows.length > 0 ? 0 : 1;
}

await main();
