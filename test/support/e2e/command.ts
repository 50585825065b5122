// The command line as a user has it: a process of its own, its streams and its exit code. Nothing of the product is imported.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CLI = join(ROOT, 'cli.ts');
/** Bound: wall time of one command; a test would rather fail than hang. */
const COMMAND_WALL_MS_MAX = 300_000;

export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

export type Where = {
  /** The clone when absent. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `COMMAND_WALL_MS_MAX` when absent. */
  readonly wallMsMax?: number;
};

/** A command that runs: its process, for signals, and what it comes to. */
export type Running = {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly said: (part: string) => Promise<void>;
  /** So far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
};

export function start(args: readonly string[], where: Where = {}): Running {
  return follow(
    spawn(process.execPath, [CLI, ...args], { cwd: where.cwd ?? ROOT, env: environment(where), stdio: ['ignore', 'pipe', 'pipe'] }),
    where.wallMsMax,
  );
}

export function wasmmatrix(args: readonly string[], where: Where = {}): Promise<Ended> {
  return start(args, where).ended;
}

/** A line for the shell, in which `$WASMMATRIX` is the command. */
export function shell(line: string, where: Where = {}): Promise<Ended> {
  const env = { ...environment(where), WASMMATRIX: `${process.execPath} ${CLI}` };
  return follow(spawn('bash', ['-c', `set -o pipefail; ${line}`], { cwd: where.cwd ?? ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] }))
    .ended;
}

/** A folder for one test file, removed at its end. */
export function temporaryFolder(): { readonly path: string; readonly make: (name: string) => string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'wasmmatrix e2e '));
  return {
    path,
    make(name) {
      const folder = join(path, name);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Files and folders under a folder that no finished command leaves behind. */
export function halfWritten(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => /\.part\b/.test(file));
}

function environment({ env }: Where): Record<string, string> {
  // Node's colours follow these too, and a person at a terminal has none of them set.
  const { NO_COLOR: _, FORCE_COLOR: __, NODE_DISABLE_COLORS: ___, CI: ____, ...mine } = process.env;
  // Compiled once, not anew by each of many commands.
  return { ...(mine as Record<string, string>), NODE_COMPILE_CACHE: join(tmpdir(), 'wasmmatrix-compiled'), ...env };
}

function follow(child: ChildProcess, wallMsMax = COMMAND_WALL_MS_MAX): Running {
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const hear = (): void => listeners.forEach((listener) => listener());
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    hear();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    hear();
  });
  const killer = setTimeout(() => child.kill('SIGKILL'), wallMsMax);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(killer);
      hear();
      resolve({ code, stdout, stderr });
    });
  });
  return {
    child,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    said: (part) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if ((stdout + stderr).includes(part)) {
            listeners.delete(look);
            resolve();
          } else if (child.exitCode !== null) reject(new Error(`The command ended without saying '${part}': ${stderr}`));
        };
        listeners.add(look);
        look();
      }),
  };
}
