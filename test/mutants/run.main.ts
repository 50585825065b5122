// Planted bugs: each patch in this folder makes one known-bad variant of the platform, which its scenarios must catch with a
// sentence that points at it, while the same scenarios hold on the unchanged tree (the control). A harness that lets one of
// them pass proves nothing about the rest.
// Usage: node test/mutants/run.main.ts [mutant…] [--all] [--small | --shrink] [--write] [--jobs N] [--minutes N]
// Without a name those of the gate; with --all every one, which --write makes docs/reference/mutants.md of. The canary comes
// first in any case. With --shrink the failure of each is made small, for at most --minutes each, and kept in test/mutants/small;
// with --small these cases stand in for the scenarios. Prints one line for each and `N passed, N failed` at the end.
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
import { describeSize, type Size } from '../../sim/campaign/shrink/document.ts';
import { readSmall, SMALL, smallFile, SMALL_HEADING, smallSection, smallTitle, type Small } from '../support/mutants/small.ts';

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

type Said = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

async function wasmmatrix(tree: string, args: readonly string[]): Promise<Said> {
  const child = spawn(process.execPath, ['cli.ts', ...args], { cwd: tree, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  return { exitCode, stdout, stderr };
}

async function play(tree: string, files: readonly string[], seeds: readonly string[], jobs: string | undefined): Promise<Verdicts> {
  const out = join(tree, 'out');
  rmSync(out, { recursive: true, force: true });
  const args = ['run', ...files, ...seeds, '--json', '--quiet', '--out', out];
  const { exitCode, stderr } = await wasmmatrix(tree, jobs === undefined ? args : [...args, '--jobs', jobs]);
  const summary = join(out, 'summary.json');
  return { exitCode, runs: existsSync(summary) ? (JSON.parse(readFileSync(summary, 'utf8')) as SuiteSummary).runs : null, stderr };
}

/** What is played for a mutant: its scenarios with so many seeds, or what was left of one with its seed. */
type Plays = { readonly files: readonly string[]; readonly seeds: readonly string[] };

function playsOf({ name, scenarios, seeds }: Mutant, small: readonly Small[] | null): Plays {
  if (small === null) return { files: scenarios.map(argumentOf), seeds: ['--seeds', String(seeds)] };
  return { files: [smallFile(name)], seeds: ['--seed', small.find(({ mutant }) => mutant === name)?.seed ?? '1'] };
}

function patch(tree: string, { name }: Mutant, ...options: readonly string[]): void {
  execFileSync('git', ['apply', '--whitespace=nowarn', ...options, join(MUTANTS, `${name}.patch`)], {
    cwd: tree,
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) },
  });
}

/** Each scenario once for each choice of seeds that a mutant needs. Null: all of them hold. */
async function controlTrouble(tree: string, plays: readonly Plays[], jobs: string | undefined): Promise<string | null> {
  const filesOf = new Map<string, Set<string>>();
  for (const { files, seeds } of plays) {
    const key = seeds.join(' ');
    filesOf.set(key, new Set([...(filesOf.get(key) ?? []), ...files]));
  }
  for (const [seeds, files] of filesOf) {
    const { exitCode, runs, stderr } = await play(tree, [...files], seeds.split(' '), jobs);
    if (exitCode !== 0)
      return `exit code ${exitCode}: ${runs?.map(causeOf).filter(Boolean).map(firstLine).join(' | ') ?? stderr.slice(-800)}`;
  }
  return null;
}

/** With the mutant planted. */
async function planted<T>(tree: string, mutant: Mutant, act: () => Promise<T>): Promise<T> {
  patch(tree, mutant);
  try {
    return await act();
  } finally {
    patch(tree, mutant, '--reverse');
  }
}

async function judge(tree: string, mutant: Mutant, { files, seeds }: Plays, jobs: string | undefined): Promise<Caught | string> {
  const { exitCode, runs, stderr } = await play(tree, files, seeds, jobs);
  return runs === null ? `no summary was written (exit code ${exitCode}): ${stderr.slice(-800)}` : judgeMutant(mutant, { runs });
}

/** Makes what caught a planted mutant small, and keeps it; otherwise why not, in words. */
async function makeSmall(tree: string, { name }: Mutant, { scenario, seed }: Caught, minutes: string): Promise<string | null> {
  const out = join(tree, `${name}.scenario.yaml`);
  const bounds = ['--minutes', minutes, '--against', ROOT, '--out', out, '--json', '--quiet'];
  const { exitCode, stdout, stderr } = await wasmmatrix(tree, ['shrink', argumentOf(scenario), '--seed', String(seed), ...bounds]);
  if (exitCode !== 0) return `it was not made small (exit code ${exitCode}): ${stderr.slice(-800)}`;
  mkdirSync(SMALL, { recursive: true });
  const { before, after, runs } = JSON.parse(stdout) as { readonly before: Size; readonly after: Size; readonly runs: number };
  writeFileSync(smallFile(name), smallTitle(name, scenario, before) + readFileSync(out, 'utf8'));
  process.stdout.write(`  ${describeSize(before)} → ${describeSize(after)}, in ${runs} runs\n`);
  return null;
}

/** Rows of all mutants, when there are any, and what is small now. */
function writePage(rows: readonly { readonly mutant: Mutant; readonly caught: Caught }[] | null): void {
  const [table = ''] = rows === null ? readFileSync(MUTANTS_PAGE, 'utf8').split(SMALL_HEADING) : [mutantsPage(rows)];
  writeFileSync(MUTANTS_PAGE, table + smallSection(readSmall()));
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
    options: {
      all: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      shrink: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      minutes: { type: 'string', default: '5' },
    },
  });
  const { jobs } = values;
  if (values.write && !values.all && !values.shrink)
    throw new Error('The page has a row for each mutant: --write goes with --all or --shrink.');
  if (values.small && (values.shrink || values.write))
    throw new Error('--small plays what is small already: it goes with neither --shrink nor --write.');
  const small = values.small ? readSmall() : null;
  const mutants = choose(positionals, values.all).filter(({ name }) => small?.some(({ mutant }) => mutant === name) ?? true);
  const rows: { mutant: Mutant; caught: Caught }[] = [];
  let failures = 0;
  const fail = (line: string): void => {
    failures += 1;
    process.stdout.write(`✖ ${line}\n`);
  };
  const tree = mkdtempSync(join(tmpdir(), 'wasmmatrix-mutant-'));
  try {
    copyTree(tree);
    const plays = mutants.map((mutant) => playsOf(mutant, small));
    const trouble = await controlTrouble(tree, plays, jobs);
    if (trouble !== null) fail(`the control does not hold: ${trouble}`);
    for (const [i, mutant] of mutants.entries()) {
      const caught = await planted(tree, mutant, async () => {
        const judged = await judge(tree, mutant, plays[i] as Plays, jobs);
        if (typeof judged === 'string') return judged;
        process.stdout.write(
          `✔ ${mutant.name}: caught by ${judged.scenario}, ${mutant.goal}, with seed ${judged.seed}: ${judged.because}\n`,
        );
        return (values.shrink ? await makeSmall(tree, mutant, judged, values.minutes) : null) ?? judged;
      });
      if (typeof caught === 'string') fail(`${mutant.name} (${mutant.bug}): ${caught}`);
      else rows.push({ mutant, caught });
      if (mutant.name === CANARY && failures > 0) {
        fail('the canary or the control failed: what comes after it would prove nothing.');
        break;
      }
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
  if (values.write && failures === 0) writePage(values.all ? rows.sort((a, b) => (a.mutant.name < b.mutant.name ? -1 : 1)) : null);
  process.stdout.write(`\n${rows.length} passed, ${failures} failed\n`);
  process.exitCode = failures === 0 && rows.length > 0 ? 0 : 1;
}

await main();
