// SSH servers of several tests at once. Where nobody has made /run/sshd yet, they make it: shown on a /run of this test's own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, expect, it } from 'vitest';
import { findSshd } from '../../support/devices/sshd.ts';

/** Bound: two servers and a call. */
const WALL_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix sshd '));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SSHD = findSshd();
const ON_OWN_RUN = ['-m', 'bash', '-c', 'mount -t tmpfs none /run && exec "$@"', 'bash'];
const mayMount = spawnSync('unshare', [...ON_OWN_RUN, 'true']).status === 0;

// Left out without openssh-server, and where this user may not mount: nothing of the machine's own /run is taken away for a test.
it.skipIf(SSHD === null || !mayMount)('answers while another one stops', () => {
  const fixture = join(import.meta.dirname, 'sshd.fixture.ts');
  const { stdout, stderr } = spawnSync('unshare', [...ON_OWN_RUN, process.execPath, fixture, SSHD ?? '', folder], {
    encoding: 'utf8',
    timeout: WALL_MS,
  });
  expect(stdout, stderr).toBe('it answers\n');
});
