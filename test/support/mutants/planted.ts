// Copies of the working tree, with a planted bug or without, and the command line played in them.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { RunSummary, SuiteSummary } from '../../../scenarios/record.ts';
import { MUTANTS, type Mutant } from './mutants.ts';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The tracked and new files of the working tree, so that a mutant is made of what is being tested. */
export function copyTree(to: string): void {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' });
  for (const file of files.split('\0')) {
    if (file === '' || !existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(ROOT, file), join(to, file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(to, 'node_modules'));
}

/** What is played in a copy for its own sake lies in folders of this name. */
export const CONTROL_PREFIX = 'control-';

/** Of such a copy, so that what is changed while bugs are played changes none of them. */
export async function copyCopy(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.startsWith(join(from, CONTROL_PREFIX)) });
}

export function patch(tree: string, { name }: Mutant, ...options: readonly string[]): void {
  execFileSync('git', ['apply', '--whitespace=nowarn', ...options, join(MUTANTS, `${name}.patch`)], {
    cwd: tree,
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) },
  });
}

export type Said = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** `signal` interrupts it as Ctrl-C does; it ends in order. */
export async function wasmmatrix(tree: string, args: readonly string[], signal?: AbortSignal): Promise<Said> {
  const child = spawn(process.execPath, ['cli.ts', ...args], { cwd: tree, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const interrupt = (): void => void child.kill('SIGINT');
  if (signal?.aborted === true) interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? -1));
    });
    return { exitCode, stdout, stderr };
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

export type Verdicts = { readonly exitCode: number; readonly runs: readonly RunSummary[] | null; readonly stderr: string };

export async function play(
  tree: string,
  files: readonly string[],
  seeds: readonly string[],
  jobs?: string,
  out = join(tree, 'out'),
): Promise<Verdicts> {
  rmSync(out, { recursive: true, force: true });
  const args = ['run', ...files, ...seeds, '--json', '--quiet', '--out', out];
  const { exitCode, stderr } = await wasmmatrix(tree, jobs === undefined ? args : [...args, '--jobs', jobs]);
  const summary = join(out, 'summary.json');
  return { exitCode, runs: existsSync(summary) ? (JSON.parse(readFileSync(summary, 'utf8')) as SuiteSummary).runs : null, stderr };
}
