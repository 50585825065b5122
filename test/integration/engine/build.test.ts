import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkToolchain } from '../../../hardware/wasm/build/build.ts';
import { estimateRemainingMs } from '../../../hardware/wasm/build/estimate.ts';
import type { BuildProgress } from '../../../hardware/wasm/build/build.ts';
import { createProgressPrinter, createWaitPrinter, describeDuration } from '../../../hardware/wasm/build/progress.ts';

const MAIN = fileURLToPath(new URL('../../../hardware/wasm/build/build.main.ts', import.meta.url));
const RUSTC = 'rustc 1.95.0 (f2d3ce0bd 2026-03-21)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n';

/** A look now and then leaves the processor to what is waited for. */
const LOOK_EVERY_MS = 10;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-build-'));
  mkdirSync(join(folder, 'bin'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function script(name: string, body: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

/** A toolchain whose cargo counts its builds, shows a bar, and writes a library that is only a text: at once, or after `finish()`. */
function fakeToolchain(end: 'at once' | 'when told' = 'at once'): void {
  script('rustc', `printf '${RUSTC.replaceAll('\n', '\\n')}'`);
  script('cc', 'exit 0');
  script(
    'cargo',
    `[ "$1" = --version ] && exit 0
echo build >> ${folder}/builds
printf '    Building [==>    ] 57/171: wasmtime, cranelift-codegen\\r' >&2
${
  end === 'at once'
    ? ''
    : `while [ -e ${folder}/builds ] && [ ! -e ${folder}/finish ]; do sleep 0.02; done &
echo $! >${folder}/compiler
wait $!`
}
mkdir -p "$CARGO_TARGET_DIR/release" && echo library > "$CARGO_TARGET_DIR/release/libwasmmatrix_engine.so"`,
  );
}

/** Lets a cargo that was to be told come to its end. */
const finish = (): void => writeFileSync(join(folder, 'finish'), '');

type Ended = { readonly code: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string };

function build(
  path: string,
  main: string = MAIN,
  args: readonly string[] = [],
): { readonly ended: Promise<Ended>; readonly said: () => string; readonly child: ReturnType<typeof spawn> } {
  const env = { PATH: path, HOME: folder, CARGO_HOME: join(folder, 'none'), XDG_CACHE_HOME: join(folder, 'cache') };
  const child = spawn(process.execPath, ['--no-warnings', main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
  return { ended, said: () => stderr, child };
}

const withTools = (): string => `${join(folder, 'bin')}:/usr/bin:/bin`;

/** A process that has ended and was not asked for is still in the list. */
function isRunning(pid: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
}

describe('a machine without what a build needs is told what to install', () => {
  it('no Rust', async () => {
    const { code, stderr, stdout } = await build(join(folder, 'bin')).ended;
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^WM_ENGINE_TOOLCHAIN: .*needs Rust 1\.95 or later; no rustc was found.*rustup\.rs/);
  });

  it('Rust that is too old', async () => {
    fakeToolchain();
    script('rustc', "printf 'rustc 1.63.0\\nhost: x86_64-unknown-linux-gnu\\nrelease: 1.63.0\\n'");
    // Debian's would be taken instead: here apt fails.
    script('apt-get', 'echo "E: no network" >&2; exit 100');
    const { code, stderr } = await build(withTools()).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /needs Rust 1\.95 or later; found rustc 1\.63\.0.*rustup update stable.*could not be taken from Debian's packages either/s,
    );
  });

  it('no cargo, and no C compiler', () => {
    expect(() => checkToolchain(RUSTC, null, 'cc')).toThrow(/no cargo/);
    expect(() => checkToolchain(RUSTC, 'cargo', null)).toThrow(/build-essential/);
    expect(checkToolchain(RUSTC, 'cargo', 'cc')).toEqual({ version: '1.95.0', host: 'x86_64-unknown-linux-gnu' });
    expect(checkToolchain(RUSTC.replaceAll('1.95.0', '2.0.0-nightly'), 'cargo', 'cc').version).toBe('2.0.0-nightly');
  });
});

describe('a build', () => {
  it('happens once; then the library is there', async () => {
    fakeToolchain();
    const first = await build(withTools()).ended;
    expect(first.code).toBe(0);
    const second = await build(withTools()).ended;
    expect(second.stdout).toBe(first.stdout);
    expect(second.stderr).toBe('');
    expect(readFileSync(first.stdout.trim(), 'utf8')).toBe('library\n');
    expect(readFileSync(join(folder, 'builds'), 'utf8')).toBe('build\n');
  });

  it('of two processes at once happens once', async () => {
    fakeToolchain('when told');
    const builds = [build(withTools()), build(withTools())];
    await until(() => builds.some(({ said }) => said().includes('Waiting for process')));
    finish();
    const ends = await Promise.all(builds.map(({ ended }) => ended));
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
    expect(new Set(ends.map(({ stdout }) => stdout)).size).toBe(1);
    expect(readFileSync(join(folder, 'builds'), 'utf8')).toBe('build\n');
    expect(ends.map(({ stderr }) => stderr).join('')).toMatch(/Waiting for process \d+/);
    expect(readdirSync(join(folder, 'cache', 'wasmmatrix', 'engine'))).not.toContain('lock');
  });

  it('takes over the lock of a process that is gone', async () => {
    fakeToolchain();
    const cache = join(folder, 'cache', 'wasmmatrix', 'engine');
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'lock'), '999999999');
    expect((await build(withTools()).ended).code).toBe(0);
  });

  it('takes over the lock of a process whose number another has now', async () => {
    fakeToolchain();
    const cache = join(folder, 'cache', 'wasmmatrix', 'engine');
    mkdirSync(cache, { recursive: true });
    const here = `${readlinkSync('/proc/self/ns/pid')}@${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`;
    writeFileSync(join(cache, 'lock'), `${process.pid} 1 ${here}`);
    expect((await build(withTools()).ended).code).toBe(0);
  });

  it('takes over the lock of another container that has long been silent, and waits for one that has not', async () => {
    fakeToolchain();
    const cache = join(folder, 'cache', 'wasmmatrix', 'engine');
    const lock = join(cache, 'lock');
    mkdirSync(cache, { recursive: true });
    writeFileSync(lock, `${process.pid} 1 pid:[1]@elsewhere`);
    const waiting = build(withTools());
    await until(() => waiting.said() !== '');
    expect(waiting.said()).toContain(`Waiting for process ${process.pid} of another container`);
    utimesSync(lock, new Date(0), new Date(0));
    expect((await waiting.ended).code).toBe(0);
  });

  it('without the compiler is not made where the whole engine is there', async () => {
    fakeToolchain();
    const small = await build(withTools(), MAIN, ['--runtime-only']).ended;
    const whole = await build(withTools()).ended;
    expect(whole.stdout).not.toBe(small.stdout);
    rmSync(join(small.stdout.trim(), '..'), { recursive: true });
    expect((await build(withTools(), MAIN, ['--runtime-only']).ended).stdout).toBe(whole.stdout);
    expect(readFileSync(join(folder, 'builds'), 'utf8')).toBe('build\nbuild\n');
  });

  it('without the compiler is not made when the whole one came while it waited', async () => {
    fakeToolchain('when told');
    const whole = build(withTools());
    await until(() => existsSync(join(folder, 'builds')));
    const small = build(withTools(), MAIN, ['--runtime-only']);
    await until(() => /Waiting for process \d+/.test(small.said()));
    finish();
    expect((await small.ended).stdout).toBe((await whole.ended).stdout);
    expect(readFileSync(join(folder, 'builds'), 'utf8')).toBe('build\n');
  });

  it('that fails shows what cargo said, and leaves nothing behind', async () => {
    fakeToolchain();
    script('cargo', '[ "$1" = --version ] && exit 0\necho "error: linking failed" >&2\nexit 101');
    const { code, stderr } = await build(withTools()).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/WM_ENGINE_BUILD: .*exit code 101/);
    expect(stderr).toContain('error: linking failed');
    const cache = join(folder, 'cache', 'wasmmatrix', 'engine');
    expect(existsSync(join(cache, 'lock'))).toBe(false);
    fakeToolchain();
    expect((await build(withTools()).ended).code).toBe(0);
  });

  it('that is interrupted ends at once, without a lock or a half-made library', async () => {
    fakeToolchain('when told');
    const { ended, child } = build(withTools());
    await until(() => existsSync(join(folder, 'builds')));
    child.kill('SIGINT');
    const { code } = await ended;
    expect(code).toBe(130);
    const cache = join(folder, 'cache', 'wasmmatrix', 'engine');
    expect(existsSync(join(cache, 'lock'))).toBe(false);
    const left = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(left).toEqual([]);
  });

  it.each([
    ['by a signal that others listen to', 'process.on("SIGTERM", () => {});'],
    ['by whoever wanted it', 'const cancel = new AbortController(); process.on("SIGTERM", () => cancel.abort());'],
  ])('that is stopped %s takes its compilers with it, and says so', async (_how, listen) => {
    fakeToolchain('when told');
    const main = join(folder, 'main.ts');
    const door = fileURLToPath(new URL('../../../hardware/wasm/build/build.ts', import.meta.url));
    const options = listen.includes('cancel') ? '{ signal: cancel.signal }' : '';
    const rest = `ensureEngine(${options}).catch((error) => { console.log(error.message); process.exitCode = 7; });`;
    writeFileSync(main, `import { ensureEngine } from '${door}';\n${listen}\n${rest}\n`);
    const { ended, child } = build(withTools(), main);
    await until(() => existsSync(join(folder, 'compiler')) && readFileSync(join(folder, 'compiler'), 'utf8').endsWith('\n'));
    const compiler = readFileSync(join(folder, 'compiler'), 'utf8').trim();
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect([code, stdout]).toEqual([7, 'Building the engine was stopped.\n']);
    await until(() => !isRunning(compiler));
    expect(existsSync(join(folder, 'cache', 'wasmmatrix', 'engine', 'lock'))).toBe(false);
  });

  it('that is waited for can be given up', async () => {
    fakeToolchain('when told');
    const first = build(withTools());
    await until(() => existsSync(join(folder, 'builds')));
    const main = join(folder, 'main.ts');
    const door = fileURLToPath(new URL('../../../hardware/wasm/build/build.ts', import.meta.url));
    writeFileSync(
      main,
      `import { ensureEngine } from '${door}';
      const cancel = new AbortController();
      const onProgress = ({ phase }) => phase === 'waiting' && cancel.abort();
      ensureEngine({ signal: cancel.signal, onProgress }).catch((error) => console.log(error.message));`,
    );
    expect((await build(withTools(), main).ended).stdout).toBe('Building the engine was stopped.\n');
    first.child.kill('SIGINT');
    expect((await first.ended).code).toBe(130);
  });
});

describe('progress', () => {
  const at = (elapsedMs: number, change: Partial<BuildProgress> = {}): BuildProgress => ({
    phase: 'building',
    cratesDone: 57,
    cratesTotal: 171,
    crate: 'wasmtime',
    elapsedMs,
    remainingMs: 151_000,
    ...change,
  });

  it('is a line every fifteen seconds where there is no terminal', () => {
    const lines: string[] = [];
    const print = createProgressPrinter({ write: (text) => lines.push(text) });
    for (let second = 0; second < 40; second++) print(at(second * 1_000));
    print(at(40_000, { phase: 'built' }));
    expect(lines).toEqual([
      'Building the engine, once: crate 57 of 171 (wasmtime), 0 s, about 2 min 40 s left\n',
      'Building the engine, once: crate 57 of 171 (wasmtime), 15 s, about 2 min 40 s left\n',
      'Building the engine, once: crate 57 of 171 (wasmtime), 30 s, about 2 min 40 s left\n',
      'Engine built in 40 s\n',
    ]);
  });

  it('is one line on a terminal, no wider than it', () => {
    let text = '';
    const print = createProgressPrinter({ isTTY: true, columns: 40, write: (part) => (text += part) });
    print(at(1_000));
    print(at(2_000));
    expect(text).not.toContain('\n');
    print(at(3_000, { phase: 'built' }));
    expect(text.split('\r').every((line) => line.replace('\u001B[2K', '').trimEnd().length < 40)).toBe(true);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('is of nothing but a long wait for who asked for none', () => {
    const lines: string[] = [];
    const print = createWaitPrinter({ write: (text) => lines.push(text) });
    for (let second = 0; second <= 130; second++) {
      print(at(second * 1_000));
      print(at(second * 1_000, { phase: 'waiting', crate: 'process 7' }));
    }
    print(at(131_000, { phase: 'built' }));
    expect(lines).toEqual([
      'Waiting for process 7, which builds the engine (1 min)\n',
      'Waiting for process 7, which builds the engine (2 min)\n',
    ]);
  });

  it('durations are for people', () => {
    expect([0, 59_400, 60_000, 200_000].map(describeDuration)).toEqual(['0 s', '59 s', '1 min', '3 min 20 s']);
  });

  it('the estimate exists as soon as crates are counted, and follows a machine that is slow', () => {
    expect(estimateRemainingMs(0, 0, 0)).toBe(null);
    const start = estimateRemainingMs(1, 187, 1_000)!;
    expect(start).toBeGreaterThan(60_000);
    const fast = estimateRemainingMs(180, 187, 60_000)!;
    const slow = estimateRemainingMs(180, 187, 600_000)!;
    expect(slow).toBeGreaterThan(fast * 3);
    expect(estimateRemainingMs(187, 187, 600_000)!).toBeLessThan(60_000);
  });
});
