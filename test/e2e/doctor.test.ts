import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';

type Finding = { readonly what: string; readonly state: string; readonly found: string; readonly next: string };

const folder = temporaryFolder();
afterAll(() => folder.remove());

describe('wasmmatrix doctor', () => {
  test('prints findings that a program can read, and only those', async () => {
    const { code, stdout, stderr } = await wasmmatrix(['doctor', '--json']);
    const findings = JSON.parse(stdout) as readonly Finding[];
    expect(findings.map(({ what }) => what)).toEqual(['Node.js', 'Rust', 'engine', 'disk', 'Chromium']);
    for (const { state, next } of findings) {
      expect(['ok', 'missing', 'optional']).toContain(state);
      expect(state === 'ok' || next !== '').toBe(true);
    }
    expect(code).toBe(findings.some(({ state }) => state === 'missing') ? 2 : 0);
    expect(stderr).toBe('');
  });

  test('says what to install on a machine without Rust and without an engine', async () => {
    const env = { PATH: folder.path, HOME: folder.path, CARGO_HOME: folder.path, XDG_CACHE_HOME: folder.path, WASMMATRIX_ENGINE: '' };
    const { code, stdout } = await wasmmatrix(['doctor'], { env });
    expect(code).toBe(2);
    expect(stdout).toContain('✖ Rust      not found\n');
    expect(stdout).toContain('Install Rust with rustup');
    expect(stdout).toMatch(/^– engine {4}not built yet\n.*when it is first needed/m);
    expect(stdout).toMatch(/\nMissing: Rust(, disk)?\.\n$/);
  });

  test('misses neither Rust nor room where an engine is given', async () => {
    const env = { PATH: folder.path, CARGO_HOME: folder.path, WASMMATRIX_ENGINE: process.execPath };
    const { code, stdout } = await wasmmatrix(['doctor', '--json'], { env });
    expect((JSON.parse(stdout) as readonly Finding[]).find(({ what }) => what === 'Rust')?.state).toBe('optional');
    expect(code).toBe(0);
  });

  test('finds an engine missing that is named and not there', async () => {
    const { code, stdout } = await wasmmatrix(['doctor'], { env: { WASMMATRIX_ENGINE: '/nowhere/engine.node' } });
    expect(stdout).toContain('✖ engine    /nowhere/engine.node does not exist');
    expect(code).toBe(2);
  });

  test('has the options that its reference lists', async () => {
    const { stdout } = await wasmmatrix(['doctor', '--help']);
    expect(documentedOptions('doctor')).toEqual(helpedOptions(stdout));
  });
});
