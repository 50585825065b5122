// The folders of workers: what a killed one leaves behind goes when the next one starts, and nothing else does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, it } from 'vitest';
import { makeWorkerFolder } from '../../../sim/campaign/remote/folder.main.ts';

const within = mkdtempSync(join(tmpdir(), 'wasmmatrix folders '));
afterAll(() => rmSync(within, { recursive: true, force: true }));

const MODULE = new URL('../../../sim/campaign/remote/folder.main.ts', import.meta.url).href;

/** The folder of a process that was killed. */
async function leftBehind(): Promise<string> {
  const program = `import { makeWorkerFolder } from '${MODULE}'; console.log(makeWorkerFolder(process.argv[1])); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, within], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  return line.toString().trim();
}

// Left out where the system does not say which processes there are: nothing is removed there.
describe.runIf(existsSync('/proc/self/stat'))('the folder of a worker', () => {
  it('is removed by the next one when its worker was killed, with what is in it', async () => {
    const left = await leftBehind();
    writeFileSync(join(left, 'half.jsonl'), '{}');
    const mine = makeWorkerFolder(within);
    expect(readdirSync(within)).toEqual([basename(mine)]);
    rmSync(mine, { recursive: true });
  });

  it('stays while its worker lives, and so does what may be of one that cannot be seen', () => {
    const mine = makeWorkerFolder(within);
    const [namespace = ''] = /\d+/.exec(readlinkSync('/proc/self/ns/pid')) ?? [];
    const [elsewhere, reused] = [`wasmmatrix-worker-1${namespace}-1-1-abcdef`, `wasmmatrix-worker-${namespace}-${process.pid}-1-abcdef`];
    for (const name of [elsewhere, reused, 'wasmmatrix-worker-abcdef']) mkdirSync(join(within, name));
    const next = makeWorkerFolder(within);
    // A process has had the number of another one since, and started at another time.
    expect(readdirSync(within).sort()).toEqual([basename(mine), basename(next), elsewhere, 'wasmmatrix-worker-abcdef'].sort());
  });
});
