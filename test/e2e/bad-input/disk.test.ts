// Folders and disks that cannot be written: a small file system of this test's own where the user may mount one (a container's root
// may), which nobody else sees.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { shell, temporaryFolder, wasmmatrix, type Ended } from '../../support/e2e/command.ts';
import { expectRefusal } from '../../support/e2e/refusal.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const env = { XDG_DATA_HOME: folder.make('data'), XDG_CONFIG_HOME: folder.make('config'), WASMMATRIX_ADMIN: '127.0.0.1:0' };
const UP = '$WASMMATRIX up --listen 127.0.0.1:0 --json --log-format json';

const mayMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', folder.make('probe')]).status === 0;

/** Runs a line of the shell where `$DISK` is a file system of so many bytes. Nothing of it is left afterwards. */
function onDisk(options: string, line: string): Promise<Ended> {
  const disk = folder.make(`disk-${options.replaceAll(/\W/g, '-')}`);
  const script = `mount -t tmpfs -o ${options} none "$DISK" && cd "$DISK" || exit 1\n${line}`;
  return shell('unshare -m bash -c "$SCRIPT"', { env: { ...env, DISK: disk, SCRIPT: script } });
}

test('a folder whose path leads through a file is refused', async () => {
  writeFileSync(join(folder.path, 'file'), '');
  const ended = await wasmmatrix(['up', '--listen', '127.0.0.1:0', '--data', join(folder.path, 'file', 'in')], { env });
  expectRefusal(ended, 'WM_STORAGE_FAILED', /file\/in.* could not be made: .*is a file and no folder, ENOTDIR/);
  const nowhere = await wasmmatrix(['up', '--listen', '127.0.0.1:0', '--data', '/proc/wasmmatrix'], { env });
  expectRefusal(nowhere, 'WM_STORAGE_FAILED', /\/proc\/wasmmatrix.* could not be made/);
});

// Left out where this user may not mount: there is no honest way to fill a disk without one of its own.
describe.skipIf(!mayMount)('a disk', () => {
  test('that is read-only is refused', async () => {
    expectRefusal(await onDisk('ro', `${UP} --data data`), 'WM_STORAGE_FAILED', /read-only, EROFS/);
  });

  test('that is full at the start is refused, and says that space is needed', async () => {
    expectRefusal(await onDisk('size=16k', `${UP} --data data`), 'WM_STORAGE_FULL', /no room on the disk of/, /Free space/);
  });

  test('that fills up while it runs: nothing is acknowledged that is not kept, and it goes on when there is room', async () => {
    const up = (out: string): string =>
      `${UP} --data data > ../${out} 2>> ../log & PID=$!; for i in $(seq 600); do grep -qs joinToken ../${out} && break; sleep 0.1; done`;
    const ended = await onDisk(
      'size=4m',
      [
        up('first'),
        '$WASMMATRIX keys create ops > /dev/null; $WASMMATRIX trust add ops --context data/operator.json',
        'cat /dev/zero > filler 2> /dev/null',
        '$WASMMATRIX trust add ops --grant log --wait 5 --context data/operator.json; echo "trust: $?"',
        'for i in 1 2 3 4; do head -c 60000 /dev/zero | $WASMMATRIX publish a.b - --wait 2 --context data/operator.json; done',
        'wait $PID; echo "ended: $?"; rm filler; cat ../log >&2',
        up('second'),
        '$WASMMATRIX get trust -o json --context data/operator.json; kill $PID; wait $PID; echo "stopped: $?"',
      ].join('\n'),
    );
    expect(ended.stderr).toMatch(/The controller ended: .*no room on the disk of .*Free space/);
    expect(ended.stderr).toMatch(/Start it again; it recovers from .*data\./);
    expect(ended.stdout).toMatch(/is trusted; its modules may have no capabilities[^]*ended: 2\n[^]*stopped: 0\n/);
    // What was acknowledged is there, and what was refused is not.
    const granted = /trust: 0/.test(ended.stdout) ? 'log' : '';
    expect(ended.stdout.replaceAll(/\s/g, '')).toContain(granted === '' ? '"mayGrant":[]' : `"mayGrant":["${granted}"]`);
  });
});
