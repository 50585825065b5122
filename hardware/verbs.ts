// `doctor`: says what this machine has and lacks, and what to install. It changes nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
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
    .option('--json', 'print the findings as JSON')
    .action((options: { readonly json?: true }) => {
      const findings = examine();
      if (options.json === true) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
      else for (const line of describe(findings)) process.stdout.write(`${line}\n`);
      process.exitCode = findings.some((finding) => finding.state === 'missing') ? EXIT_REJECTED : 0;
    });
}

function examine(): readonly Finding[] {
  const built = engine();
  // Who has an engine needs neither a compiler nor the room that compiling takes.
  const state = built.state === 'ok' ? 'optional' : 'missing';
  return [{ what: 'Node.js', state: 'ok', found: process.versions.node, next: '' }, toolchain(state), built, space(state), chromium()];
}

function toolchain(lacking: Finding['state']): Finding {
  const rustc = ask('rustc', '-vV');
  try {
    const { version } = checkToolchain(rustc, ask('cargo', '--version'), ask('cc', '--version'));
    return { what: 'Rust', state: 'ok', found: version, next: '' };
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    const found = rustc === null ? 'not found' : (/^release: (\S+)/m.exec(rustc)?.[1] ?? 'unknown');
    // The same that the build asks: a C compiler is the machine's own in any case.
    if (ask('cc', '--version') !== null && ask('apt-get', '--version') !== null && ask('dpkg-deb', '--version') !== null)
      return { what: 'Rust', state: 'optional', found, next: `Without it, Debian's is unpacked into the cache (280 MB). ${error.message}` };
    return { what: 'Rust', state: lacking, found, next: error.message };
  }
}

function engine(): Finding {
  const given = process.env['WASMMATRIX_ENGINE'] ?? '';
  if (given !== '' && existsSync(given)) return { what: 'engine', state: 'ok', found: `${given}, which WASMMATRIX_ENGINE names`, next: '' };
  if (given !== '')
    return {
      what: 'engine',
      state: 'missing',
      found: `${given} does not exist`,
      next: 'Correct WASMMATRIX_ENGINE, or unset it to have the engine built.',
    };
  const cache = engineCache();
  const built = existsSync(cache) && readdirSync(cache, { recursive: true }).some((file) => String(file).endsWith('.node'));
  return built
    ? { what: 'engine', state: 'ok', found: `built, in ${cache}`, next: '' }
    : {
        what: 'engine',
        state: 'optional',
        found: 'not built yet',
        next: 'It is built when it is first needed, in about four minutes on two cores.',
      };
}

function space(lacking: Finding['state']): Finding {
  let folder = engineCache();
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const enough = free >= CACHE_BYTES_NEEDED;
  return {
    what: 'disk',
    state: enough ? 'ok' : lacking,
    found: `${(free / 1024 ** 3).toFixed(1)} GiB free for ${engineCache()}`,
    next: enough ? '' : 'Building the engine takes 4 GiB: free them there, or set XDG_CACHE_HOME to a folder on a larger disk.',
  };
}

function chromium(): Finding {
  const found = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => ask(name, '--version') !== null);
  return found === undefined
    ? {
        what: 'Chromium',
        state: 'optional',
        found: 'not found',
        next: 'Only the test of the HTML report needs it: apt-get install chromium.',
      }
    : { what: 'Chromium', state: 'ok', found, next: '' };
}

function describe(findings: readonly Finding[]): readonly string[] {
  const marks = { ok: '✔', missing: '✖', optional: '–' } as const;
  const lacking = findings.filter((finding) => finding.state === 'missing').map((finding) => finding.what);
  const lines = findings.flatMap(({ what, state, found, next }) => [
    `${marks[state]} ${what.padEnd(9)} ${found}`,
    ...(next === '' ? [] : [`  ${' '.repeat(9)} ${next}`]),
  ]);
  return [...lines, '', lacking.length === 0 ? 'Everything that `wasmmatrix run` needs is here.' : `Missing: ${lacking.join(', ')}.`];
}

/** What a program prints of itself; null when it cannot be run. Looks where the build of the engine looks. */
function ask(program: string, argument: string): string | null {
  const path = [process.env['PATH'] ?? '', join(process.env['CARGO_HOME'] ?? join(homedir(), '.cargo'), 'bin')].join(delimiter);
  const answer = spawnSync(program, [argument], { encoding: 'utf8', timeout: 10_000, env: { ...process.env, PATH: path } });
  return answer.status === 0 ? answer.stdout : null;
}
