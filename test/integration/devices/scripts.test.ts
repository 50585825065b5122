// What is asked of a device's shell, by shells of this machine: a run that is under way is not disturbed, and one that died disturbs nobody.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { EXIT_NOTHING, EXIT_TAKEN, PLACE, REMOVE, START, UNPACK } from '../../../hardware/devices/scripts.ts';
import { startOf } from '../../../hardware/local/start-of.ts';

const root = mkdtempSync(join(tmpdir(), 'wasmmatrix scripts '));
const folder = join(root, 'device');
const at = (file: string): string => join(folder, file);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SHELLS = [['sh'], ['busybox', 'sh']].filter(([program = '']) => spawnSync(program, ['-c', ':']).error === undefined);
const OWNER = 'somebody@desk (process 12)';
const OLD = 'process.stdout.write("{}")';
const archive = ((): Buffer => {
  writeFileSync(join(root, 'cli.js'), 'new');
  return spawnSync('tar', ['-czf', '-', '-C', root, 'cli.js']).stdout;
})();

/** The process that has the device: this one, or one that had its number earlier. */
function setRun(isUnderWay: boolean): void {
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['product', 'run']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('product/cli.js'), OLD);
  writeFileSync(at('engine.node'), 'old');
  writeFileSync(at('installed'), 'stamp');
  writeFileSync(at('run/host'), `${process.pid} ${isUnderWay ? startOf(process.pid) : '1'}`);
  writeFileSync(at('run/owner'), OWNER);
}

describe.each(SHELLS)('the scripts of a device in %s', (...shell: readonly string[]) => {
  const [program = 'sh', ...before] = shell;
  const run = (
    script: string,
    args: readonly string[],
    input: string | Buffer = '',
  ): { readonly status: number | null; readonly said: string } => {
    const { status, stderr } = spawnSync(program, [...before, '-c', script, 'sh', folder, ...args], { input, encoding: 'utf8' });
    return { status, said: stderr.trim() };
  };
  const install = (): ReturnType<typeof run> => run(UNPACK, [], archive);
  const place = (): ReturnType<typeof run> => run(PLACE, ['engine.node', '3'], 'new');
  const start = (): ReturnType<typeof run> => run(START, ['bench', process.execPath, '30']);
  const remove = (): ReturnType<typeof run> => run(REMOVE, ['bench']);
  beforeEach(() => setRun(true));

  it.each([
    ['installing', install],
    ['placing a file', place],
    ['starting an agent', start],
    ['removing', remove],
  ])('leave everything to a run that is under way: %s', (_, act) => {
    expect(act()).toEqual({ status: EXIT_TAKEN, said: `${process.pid} ${OWNER}` });
    expect([readFileSync(at('product/cli.js'), 'utf8'), readFileSync(at('engine.node'), 'utf8')]).toEqual([OLD, 'old']);
    expect(existsSync(at('agent.pid'))).toBe(false);
  });

  it('go on where the run has died, whoever has its number by now', () => {
    setRun(false);
    expect(start()).toEqual({ status: 0, said: '' });
    expect(existsSync(at('run'))).toBe(false);
    expect(install().status).toBe(0);
    expect(place().status).toBe(0);
    expect([readFileSync(at('product/cli.js'), 'utf8'), readFileSync(at('engine.node'), 'utf8')]).toEqual(['new', 'new']);
    expect(remove().status).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });

  it('put nothing into place of which only a part arrived, and start nothing that is only installed in part', () => {
    setRun(false);
    expect(run(PLACE, ['engine.node', '4'], 'new')).toEqual({ status: 1, said: 'only a part of engine.node arrived' });
    expect([readFileSync(at('engine.node'), 'utf8'), existsSync(at('engine.node.next'))]).toEqual(['old', false]);
    expect(install().status).toBe(0);
    expect(start()).toEqual({ status: EXIT_NOTHING, said: '' });
  });
});
