// A folder of Debian packages whose programs run by themselves, made of a package that the test builds of this machine's own files.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isDynamicProgram, preparePrefix } from '../../../hardware/debian/prefix.ts';

const SET = { name: 'greeting', architecture: 'amd64', suites: [], closure: false } as const;
const FILE = 'greeting_1_amd64.deb';
const LOADER = '/lib64/ld-linux-x86-64.so.2';
const LIBRARIES = '/lib/x86_64-linux-gnu';
const able = process.arch === 'x64' && existsSync(LOADER) && spawnSync('dpkg-deb', ['--version']).status === 0;

let folder = '';
const said: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-prefix-'));
  said.length = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(from: string, to: string): void {
  const path = join(folder, 'package', to);
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(realpathSync(from), path);
}

/** A package with a program, the loader and libraries it needs, a script of the linker and a link; answers what a lock says of it. */
function buildPackage(): string {
  put('/usr/bin/env', 'usr/bin/env');
  put(LOADER, 'usr/lib64/ld-linux-x86-64.so.2');
  put(`${LIBRARIES}/libc.so.6`, `usr${LIBRARIES}/libc.so.6`);
  symlinkSync('env', join(folder, 'package/usr/bin/environment'));
  writeFileSync(join(folder, 'package/usr/bin/script'), '#!/bin/sh\necho as it was\n', { mode: 0o755 });
  mkdirSync(join(folder, 'package/usr/riscv64-linux-gnu/lib'), { recursive: true });
  writeFileSync(
    join(folder, 'package/usr/riscv64-linux-gnu/lib/libc.so'),
    '/* GNU ld script */\nGROUP ( /usr/riscv64-linux-gnu/lib/libc.so.6 AS_NEEDED ( /lib/ld.so.1 ) )\n',
  );
  mkdirSync(join(folder, 'package/DEBIAN'));
  writeFileSync(
    join(folder, 'package/DEBIAN/control'),
    'Package: greeting\nVersion: 1\nArchitecture: amd64\nMaintainer: none <n@o>\nDescription: none\n',
  );
  mkdirSync(join(folder, 'cache/packages'), { recursive: true });
  const file = join(folder, 'cache/packages', FILE);
  const built = spawnSync('dpkg-deb', ['--build', '--root-owner-group', join(folder, 'package'), file], { encoding: 'utf8' });
  expect(built.stderr).toBe('');
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

const prepare = (sha256: string) =>
  preparePrefix(SET, {
    cache: join(folder, 'cache'),
    say: (line) => said.push(line),
    lock: { greeting: { suite: 'trixie', packages: [{ file: FILE, sha256 }] } },
  });

// Left out where there is no dpkg-deb, or the machine is no Linux of x86-64, which prefixes are for.
it.runIf(able)('starts each program by the loader that came with it, under the name it was called by', async () => {
  const made = await prepare(buildPackage());
  if (!made.ok) throw new Error(made.error.message);
  const prefix = made.value.folder;
  for (const name of ['env', 'environment']) {
    const { stdout } = spawnSync(join(prefix, 'usr/bin', name), ['--help'], { encoding: 'utf8' });
    expect(stdout).toContain(`Usage: ${prefix}/usr/bin/${name} `);
  }
  expect(readFileSync(join(prefix, 'usr/bin/env'), 'utf8')).toContain(`exec '${prefix}/usr/lib64/ld-linux-x86-64.so.2'`);
  expect(spawnSync(join(prefix, 'usr/bin/script'), { encoding: 'utf8' }).stdout).toBe('as it was\n');
  expect(readFileSync(join(prefix, 'usr/riscv64-linux-gnu/lib/libc.so'), 'utf8')).toBe(
    `/* GNU ld script */\nGROUP ( ${prefix}/usr/riscv64-linux-gnu/lib/libc.so.6 AS_NEEDED ( ${prefix}/lib/ld.so.1 ) )\n`,
  );
  expect(said).toEqual(["Unpacking greeting of Debian's trixie"]);
  rmSync(join(prefix, 'usr/lib64/ld-linux-x86-64.so.2'));
  expect(spawnSync(join(prefix, 'usr/bin/env')).status).not.toBe(0);
});

// Left out where there is no dpkg-deb, or the machine is no Linux of x86-64, which prefixes are for.
it.runIf(able)('is made once, and stays when the packages are removed', async () => {
  const sha256 = buildPackage();
  const first = await prepare(sha256);
  rmSync(join(folder, 'cache/packages'), { recursive: true });
  expect(await prepare(sha256)).toEqual(first);
  expect(said).toHaveLength(1);
});

// Left out where there is no dpkg-deb, or the machine is no Linux of x86-64, which prefixes are for.
it.runIf(able)('knows a program from a library, a script and a text', () => {
  expect(isDynamicProgram('/usr/bin/env')).toBe(true);
  expect(isDynamicProgram(realpathSync(LOADER))).toBe(false);
  expect(isDynamicProgram('/etc/passwd')).toBe(false);
});
