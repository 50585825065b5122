// Ctrl-C while a device is called: the command ends at once, and so do its calls; what is left on the device is told. `ssh` is a program of
// the test here: it plays the device in this machine's shell, and never comes to an end where it is told.
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process, { arch } from 'node:process';
import { afterAll, describe, expect, it } from 'vitest';
import { start, temporaryFolder, type Ended } from '../support/e2e/command.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const ARCHITECTURE = arch === 'arm64' ? 'aarch64' : arch === 'riscv64' ? 'riscv64' : 'x86_64';
/** Far less than a call may take, and more than a busy machine needs. */
const PROMPT_MS = 10_000;
const WALL_MS = 240_000;
const SCENARIO = join(folder.path, 'plain.scenario.yaml');
writeFileSync(
  SCENARIO,
  `
question: Is a run that waits for its device stopped?
requirements: [H2.2]
duration: 5s
quiet: 2s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
  nodes:
    - { node: one, zone: cloud/a, architecture: ${ARCHITECTURE} }
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: cloud/a, replicas: 1 }
goals:
  - running: { deployment: echo, atLeast: 1 }
`,
);

/** Interrupts the command when a call whose script names `hangs` hangs. */
async function interrupt(
  name: string,
  args: readonly string[],
  hangs: string,
): Promise<Ended & { readonly ms: number; readonly left: readonly string[] }> {
  const programs = folder.make(`${name}/programs`);
  const temporary = folder.make(`${name}/temporary`);
  const called = join(folder.path, name, 'called');
  const ssh = join(programs, 'ssh');
  writeFileSync(
    ssh,
    `#!/bin/sh
for command; do :; done
case $command in
  *${hangs}*) echo $$ >"${called}.part"; mv "${called}.part" "${called}"; exec sleep 600;;
  *) eval "$command";;
esac
`,
  );
  chmodSync(ssh, 0o755);
  const inventory = join(folder.path, name, 'devices.yaml');
  const at = folder.make(`${name}/device`);
  const device = { name: 'bench-1', host: '127.0.0.1', user: 'nobody', architecture: ARCHITECTURE, zone: 'edge', folder: at };
  writeFileSync(inventory, JSON.stringify({ devices: [device] }));
  const env = { PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}`, TMPDIR: temporary };
  const run = start([...args, '--inventory', inventory], { env });
  const isCalled = async (): Promise<void> => {
    await expect.poll(() => existsSync(called), { timeout: WALL_MS, interval: 20 }).toBe(true);
  };
  await Promise.race([isCalled(), run.ended]);
  const sinceMs = performance.now();
  run.child.kill('SIGINT');
  const ended = await run.ended;
  const ms = performance.now() - sinceMs;
  expect(existsSync(`/proc/${readFileSync(called, 'utf8').trim()}`)).toBe(false);
  return { ...ended, ms, left: readdirSync(temporary).filter((one) => one.startsWith('wasmmatrix-product-')) };
}

const RUN = ['run', SCENARIO, '--target', 'devices', '--out', join(folder.path, 'out')];

describe('Ctrl-C while a device is called', () => {
  it.each([
    ['devices install', ['devices', 'install'], 'product.next'],
    ['a run that installs', RUN, 'product.next'],
  ])('ends %s and its call at once, says what is left there, and leaves nothing here', { timeout: WALL_MS }, async (name, args, hangs) => {
    const { code, stderr, ms, left } = await interrupt(name, args, hangs);
    expect(ms).toBeLessThan(PROMPT_MS);
    expect(stderr).toContain('WM_CANCELLED (rejected): The installation on bench-1 was stopped by the user. It has what it had, or');
    expect({ code, left }).toEqual({ code: 130, left: [] });
  });

  it('ends a run that waits for a device to say what it is', { timeout: WALL_MS }, async () => {
    const { code, stdout, ms } = await interrupt('run', RUN, 'device-host.js');
    expect(ms).toBeLessThan(PROMPT_MS);
    expect(stdout).toContain('interrupted: 1 of 1 runs did not end.');
    expect(code).toBe(130);
  });
});
