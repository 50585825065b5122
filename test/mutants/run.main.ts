// Planted bugs: each patch in this folder makes one known-bad variant of the platform, which its scenarios must catch with a
// sentence that points at it, while the same scenarios hold on the unchanged tree (the control). A harness that lets one of
// them pass proves nothing about the rest.
// Usage: node test/mutants/run.main.ts [mutant…]   Prints one line for each and `N passed, N failed` at the end.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { causeOf } from '../../reports/summarise.ts';
import type { SuiteSummary } from '../../scenarios/record.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FOLDER = join(ROOT, 'test', 'mutants');

/** `<name>.yaml` beside `<name>.patch`. */
type Mutant = {
  readonly name: string;
  /** What was broken, in words. */
  readonly bug: string;
  readonly scenarios: readonly string[];
  /** Seeds that the catching may need. */
  readonly seeds: number;
  /** Goal or invariant that must be the one that does not hold. */
  readonly goal: string;
  /** Regular expression that the sentence must match. */
  readonly says: string;
};

type Verdicts = { readonly exitCode: number; readonly suite: SuiteSummary | null; readonly stderr: string };

function readMutants(wanted: readonly string[]): readonly Mutant[] {
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => file.slice(0, -'.patch'.length))
    .sort();
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`No mutant is called ${unknown.join(' or ')}; there are ${names.join(', ')}.`);
  return names
    .filter((name) => wanted.length === 0 || wanted.includes(name))
    .map((name) => ({ name, ...(parse(readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')) as Omit<Mutant, 'name'>) }));
}

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

async function play(tree: string, mutant: Mutant): Promise<Verdicts> {
  const out = join(tree, 'out');
  const child = spawn(process.execPath, ['cli.ts', 'run', ...mutant.scenarios, '--seeds', String(mutant.seeds), '--json', '--out', out], {
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
  return { exitCode, suite: existsSync(summary) ? (JSON.parse(readFileSync(summary, 'utf8')) as SuiteSummary) : null, stderr };
}

async function inTree<T>(use: (tree: string) => Promise<T>): Promise<T> {
  const tree = mkdtempSync(join(tmpdir(), 'wasmmatrix-mutant-'));
  try {
    copyTree(tree);
    return await use(tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

/** Null when the mutant was caught as it says; otherwise what went wrong. */
function escaped(mutant: Mutant, verdicts: Verdicts): string | null {
  if (verdicts.suite === null) return `no summary was written (exit code ${verdicts.exitCode}): ${verdicts.stderr.slice(-800)}`;
  const bad = verdicts.suite.runs.filter((run) => run.verdict === 'violated' || run.verdict === 'unconverged');
  if (bad.length === 0) return `not caught: ${verdicts.suite.runs.map((run) => `${run.scenario} ${run.seed} ${run.verdict}`).join(', ')}`;
  const said = bad.flatMap((run) => run.goals.filter((goal) => !goal.held && goal.name === mutant.goal).map((goal) => goal.because));
  if (said.some((sentence) => new RegExp(mutant.says).test(sentence))) return null;
  return `caught, but by other words: ${bad.map((run) => causeOf(run)).join(' | ')}`;
}

async function main(wanted: readonly string[]): Promise<void> {
  const mutants = readMutants(wanted);
  let passed = 0;
  let failures = 0;
  const tell = (caught: boolean, line: string): void => {
    if (caught) passed += 1;
    else failures += 1;
    process.stdout.write(`${caught ? '✔' : '✖'} ${line}\n`);
  };
  for (const mutant of mutants) {
    const control = await inTree((tree) => play(tree, mutant));
    const controlHeld = control.exitCode === 0;
    if (!controlHeld)
      tell(
        false,
        `${mutant.name}: the control does not hold (exit code ${control.exitCode}): ${control.suite?.runs.map(causeOf).filter(Boolean).join(' | ') ?? control.stderr.slice(-800)}`,
      );
    const verdicts = await inTree((tree) => {
      execFileSync('git', ['apply', '--whitespace=nowarn', join(FOLDER, `${mutant.name}.patch`)], {
        cwd: tree,
        env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) },
      });
      return play(tree, mutant);
    });
    const trouble = escaped(mutant, verdicts);
    const caughtBy = verdicts.suite?.runs.find((run) => run.goals.some((goal) => goal.name === mutant.goal && !goal.held));
    if (controlHeld || trouble !== null) {
      tell(
        trouble === null,
        trouble === null
          ? `${mutant.name}: caught by ${caughtBy?.scenario} with seed ${caughtBy?.seed}: ${caughtBy?.goals.find((goal) => goal.name === mutant.goal)?.because}`
          : `${mutant.name} (${mutant.bug}): ${trouble}`,
      );
    }
  }
  process.stdout.write(`\n${passed} passed, ${failures} failed\n`);
  process.exitCode = failures === 0 && passed > 0 ? 0 : 1;
}

await main(process.argv.slice(2));
