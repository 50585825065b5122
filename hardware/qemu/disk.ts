// The disk of an emulated machine: a file system of its own in a file, which is there whole or not at all, and then survives the machine.
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import process from 'node:process';
import { execa } from 'execa';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import { wordsOf } from '../debian/debian.ts';

/** Where Debian keeps what only root is expected to call. */
export const SYSTEM_PATHS = ':/sbin:/usr/sbin';

/** Empty, and for its owner alone; one that is there stays as it is. WM_MACHINE. */
export async function makeDisk(disk: string, mib: number): Promise<Outcome<void>> {
  if (existsSync(disk)) return ok();
  const part = `${disk}.part`;
  try {
    rmSync(part, { force: true });
    await execa('truncate', ['-s', `${mib}M`, part], { stdin: 'ignore' });
    await execa('mkfs.ext4', ['-q', '-F', part], { stdin: 'ignore', env: { PATH: `${process.env['PATH'] ?? ''}${SYSTEM_PATHS}` } });
    chmodSync(part, 0o600);
    renameSync(part, disk);
    return ok();
  } catch (error) {
    rmSync(part, { force: true });
    const said = `The disk ${disk} could not be made: ${wordsOf(error)}.`;
    return failed('WM_MACHINE', { message: said, next: 'Install e2fsprogs, or make room.' });
  }
}
