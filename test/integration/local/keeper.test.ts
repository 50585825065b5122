// What a runner that dies leaves: an emulator that it had begun to start and told nobody of. In the emulator's place stands a program of
// its name.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/e2e/command.ts';

const KEEPER = fileURLToPath(new URL('../../../hardware/local/keeper.main.ts', import.meta.url));
const temporary = temporaryFolder();

afterAll(() => temporary.remove());

function emulator(folder: string) {
  const program = join(temporary.path, 'qemu-system-none');
  writeFileSync(program, `#!${process.execPath}\nconsole.log('on');\nsetInterval(() => {}, 1_000);\n`);
  chmodSync(program, 0o755);
  return spawn(program, ['-pidfile', join(folder, 'machines/a/pid')], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
}

// Left out where processes are not shown as Linux shows them.
it.skipIf(process.platform !== 'linux')('an emulator of the run ends with it, told of or not, and one of another run goes on', async () => {
  const [folder, other] = [join(temporary.path, 'run'), join(temporary.path, 'run-2')];
  mkdirSync(folder);
  const [ours, theirs] = [emulator(folder), emulator(other)];
  await Promise.all([once(ours.stdout, 'data'), once(theirs.stdout, 'data')]);
  const ended = once(ours, 'exit');
  // Its input ends at once, as when the runner dies.
  const keeper = spawnSync(process.execPath, [KEEPER, folder], { input: '', encoding: 'utf8' });
  expect(keeper.stderr).toBe('');
  expect((await ended)[1]).toBe('SIGKILL');
  expect(existsSync(folder)).toBe(false);
  expect(theirs.exitCode ?? theirs.signalCode).toBe(null);
  theirs.kill('SIGKILL');
});
