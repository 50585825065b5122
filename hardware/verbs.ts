// `doctor`: says what this machine has and lacks, and what to install. It changes nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { checkToolchain, EngineBuildError, engineCache } from './wasm/build/build.ts';

/** What a first build of the engine writes, cargo's own downloads among it. */
const CACHE_BYTES_NEEDED = 4 * 1024 * 1024 * 1024;
const EXIT_REJECTED = 2;

type Finding = {
  readonly what: string;
  readonly state: 'ok' | 'missing' | 'optional';
  readonly found: string;
  /** What to do; empty when nothing is. */
  readonly next: string;
};

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('say what this machine lacks')
    .description('Says what this machine has and lacks for running and testing WasmMatrix, and what to install. Changes nothing.')
    .option('--json', 'print the findings as JSON', false)
    .action((options: { readonly json: boolean }) => {
      const findings = examine();
      if (options.json) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
      else for (const line of describe(findings)) process.stdout.write(`${line}\n`);
      process.exitCode = findings.some((finding) => finding.state === 'missing') ? EXIT_REJECTED : 0;
    });
}

function examine(): readonly Finding[] {
  return [
    { what: 'Node.js', state: 'ok', found: process.versions.node, next: '' },
    toolchain(),
    engine(),
    space(),
    chromium(),
  ];
}

function toolchain(): Finding {
  const rustc = ask('rustc', '-vV');
  try {
    const { version } = checkToolchain(rustc, ask('cargo', '--version'), ask('cc', '--version'));
    return { what: 'Rust', state: 'ok', found: version, next: '' };
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    return { what: 'Rust', state: 'missing', found: rustc === null ? 'not found' : (/^release: (\S+)/m.exec(rustc)?.[1] ?? 'unknown'), next: error.message };
  }
}

function engine(): Finding {
  const cache = engineCache();
  const built = existsSync(cache) && readdirSync(cache, { recursive: true }).some((file) => String(file).endsWith('.node'));
  return { what: 'engine', state: 'ok', found: built ? `built, in ${cache}` : 'not built yet', next: built ? '' : 'It is built when it is first needed, in about four minutes on two cores.' };
}

function space(): Finding {
  let folder = engineCache();
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const enough = free >= CACHE_BYTES_NEEDED;
  return {
    what: 'disk',
    state: enough ? 'ok' : 'missing',
    found: `${(free / 1024 ** 3).toFixed(1)} GiB free for ${engineCache()}`,
    next: enough ? '' : 'Free 4 GiB there, or set XDG_CACHE_HOME to a folder on a larger disk.',
  };
}

function chromium(): Finding {
  const found = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => ask(name, '--version') !== null);
  return found === undefined
    ? { what: 'Chromium', state: 'optional', found: 'not found', next: 'Only the test of the HTML report needs it: apt-get install chromium.' }
    : { what: 'Chromium', state: 'ok', found, next: '' };
}

function describe(findings: readonly Finding[]): readonly string[] {
  const marks = { ok: '✔', missing: '✖', optional: '–' } as const;
  return findings.flatMap(({ what, state, found, next }) => [`${marks[state]} ${what.padEnd(9)} ${found}`, ...(next === '' ? [] : [`  ${' '.repeat(9)} ${next}`])]);
}

/** What a program prints of itself; null when it cannot be run. */
function ask(program: string, argument: string): string | null {
  const answer = spawnSync(program, [argument], { encoding: 'utf8', timeout: 10_000 });
  return answer.status === 0 ? answer.stdout : null;
}
