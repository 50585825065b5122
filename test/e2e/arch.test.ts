// `wasmmatrix arch` as a user calls it, on the architecture of this machine. Others are played by the gate (`.ci/run`, phase arch): making
// what they need takes minutes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Conformance } from '../../hardware/conformance/conformance.ts';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const OWN = process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : 'riscv64';

describe('wasmmatrix arch', () => {
  it('holds this machine’s levels to each other, and says so to people, programs and CI', async () => {
    const junit = join(folder.path, 'arch.xml');
    const { code, stdout, stderr } = await wasmmatrix(['arch', '--targets', OWN, '--no-simulator', '--json', '--junit', junit]);
    const { verdict, machines, cells, compared, differences } = JSON.parse(stdout) as Conformance;
    expect({ verdict, differences, code }, stderr).toEqual({ verdict: 'held', differences: 0, code: 0 });
    expect(machines.map(({ name, tier }) => [name, tier])).toEqual([[OWN, 'native']]);
    expect(new Set(cells.map(({ group }) => group))).toEqual(
      new Set([
        'played',
        'integers',
        'components',
        'floats',
        'conversions',
        'vectors',
        'memory',
        'traps',
        'fuel',
        'wasi',
        'generated',
        'examples',
      ]),
    );
    expect(compared).toBeGreaterThan(1_900);
    expect(readFileSync(junit, 'utf8')).toContain(`<testsuite name="${OWN} (native)"`);
  });

  it('plays those scenarios that it is asked for, and no others', async () => {
    const { code, stderr } = await wasmmatrix(['arch', '--targets', OWN, '--scenarios', 'deploy-and-answer,guest-misbehaves']);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`${OWN}: 2 scenarios were played in the simulator`);
  });

  it.each([
    [['--targets', 'mips'], 'Give some of x86_64, aarch64, riscv64, separated by commas.'],
    [['--targets', OWN, '--plant', 'nan'], 'A fault is planted in another architecture than the reference.'],
    [['--scenarios', 'deploy-and-answr'], "There is no scenario 'deploy-and-answr': did you mean 'deploy-and-answer'?"],
    [['--scenarios', 'node-failure', '--no-simulator'], "'--scenarios <list>' cannot be used with option '--no-simulator'"],
    [['--targets', `${OWN},arm64`, '--plant', 'nan', '--tier', 'system'], 'machines compile nothing'],
    [['--tier', 'system', '--scenarios', 'node-failure'], 'Machines play no scenarios.'],
    [['--tier', 'hardware'], "argument 'hardware' is invalid. Allowed choices are user, system, both."],
    [['--plant', 'rust'], "argument 'rust' is invalid. Allowed choices are nan."],
  ])('refuses %s', async (args, words) => {
    const { code, stdout, stderr } = await wasmmatrix(['arch', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
  });

  it('has the options that its reference lists', async () => {
    const { stdout } = await wasmmatrix(['arch', '--help']);
    expect(documentedOptions('arch')).toEqual(helpedOptions(stdout));
  });
});
