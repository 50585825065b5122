// Scenarios that no device of an inventory can play: told before one is installed on or called. Nobody answers where these devices are.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch } from 'node:process';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const OWN = arch === 'arm64' ? 'aarch64' : arch === 'riscv64' ? 'riscv64' : 'x86_64';
const OTHER = OWN === 'riscv64' ? 'aarch64' : 'riscv64';
const INVENTORY = join(folder.path, 'devices.yaml');
writeFileSync(
  INVENTORY,
  JSON.stringify({ devices: [{ name: 'bench-1', host: '127.0.0.1', port: 1, user: 'nobody', architecture: OWN, zone: 'edge' }] }),
);

const scenarioOf = (step: string, requires = ''): string => `
question: Is this refused before a device is touched?
requirements: [H2.2]
duration: 5s
quiet: 2s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
  nodes:
    - { node: one, zone: cloud/a, architecture: ${OWN} }
    - { node: two, zone: cloud/a, architecture: ${OTHER} }
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: cloud/a, replicas: 1${requires} }
${step}
goals:
  - running: { deployment: echo, atLeast: 1 }
`;

const PLAIN = '  - { at: 1s, crash: one, for: 1s }';

describe('a scenario that no device can play', () => {
  it.each([
    [
      'a fault',
      scenarioOf('  - { at: 1s, throttle: one, factor: 2, for: 1s }'),
      /WM_FAULT_UNSUPPORTED \(rejected\): the devices world cannot produce the fault 'throttle'/,
    ],
    [
      'an architecture',
      scenarioOf(PLAIN, `, needs: { architectures: [${OTHER}] }`),
      new RegExp(`cannot be played with 1 devices: deployment echo needs ${OTHER}`),
    ],
    [
      'every disk full',
      scenarioOf('  - { at: 1s, disk-full: one, for: 1s }\n  - { at: 1s, disk-full: two, for: 1s }'),
      /No node of refused can be a device: the disk of one, two is to be filled/,
    ],
  ])('because of %s is refused before any is installed on', async (_, text, words) => {
    const file = join(folder.path, 'refused.scenario.yaml');
    writeFileSync(file, text);
    const { code, stdout, stderr } = await wasmmatrix([
      'run',
      file,
      '--target',
      'devices',
      '--inventory',
      INVENTORY,
      '--out',
      join(folder.path, 'out'),
    ]);
    expect(stdout + stderr).toMatch(words);
    expect(stdout + stderr).not.toContain('WM_DEVICE_UNREACHABLE');
    expect(code).toBe(2);
  });

  it('hides none that can be: its device is called', async () => {
    const file = join(folder.path, 'playable.scenario.yaml');
    writeFileSync(file, scenarioOf(PLAIN));
    const { code, stderr } = await wasmmatrix([
      'run',
      file,
      '--target',
      'devices',
      '--inventory',
      INVENTORY,
      '--out',
      join(folder.path, 'out'),
    ]);
    expect(stderr).toContain('WM_DEVICE_UNREACHABLE (failed): bench-1 cannot be reached at nobody@127.0.0.1:1');
    expect(code).toBe(2);
  });
});
