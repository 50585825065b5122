// `node hardware/debian/lock.main.ts`: writes hardware/debian/packages.lock.json anew from what Debian has now. For whoever keeps this
// repository, after they have seen `wasmmatrix arch` hold with it.
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describeError } from '../../system/domain/outcome.ts';
import { imageSets } from '../qemu/images.ts';
import { packageSets } from '../qemu/qemu.ts';
import { sshSets } from '../qemu/ssh.ts';
import { fetchPackages, FOREIGN_ARCHITECTURES, lockOf, targetsCache, type LockedSet } from './debian.ts';

const EXIT_REJECTED = 2;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const locked: Record<string, LockedSet> = {};
for (const set of [...packageSets(), ...imageSets(FOREIGN_ARCHITECTURES), ...sshSets(FOREIGN_ARCHITECTURES)]) {
  const fetched = await fetchPackages(set, { cache: targetsCache(), say, lock: {}, renew: true });
  if (!fetched.ok) {
    say(describeError(fetched.error));
    process.exit(EXIT_REJECTED);
  }
  locked[set.name] = lockOf(fetched.value);
}
writeFileSync(fileURLToPath(new URL('packages.lock.json', import.meta.url)), `${JSON.stringify(locked, null, 2)}\n`);
say('Written. Run `npx wasmmatrix arch` before it is committed.');
