// Two SSH servers of tests; the first one stops, and the second is called. Says what came of the call. Arguments: sshd, a folder.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { SshServer } from '../../support/devices/sshd.ts';

const [, , program = '', folder = ''] = process.argv;
const start = (name: string): Promise<SshServer> => {
  mkdirSync(join(folder, name));
  return SshServer.start(program, join(folder, name));
};

const first = await start('first');
const second = await start('second');
await first.stop();
const options = ['BatchMode=yes', 'IdentitiesOnly=yes', `UserKnownHostsFile="${second.knownHosts}"`].flatMap((option) => ['-o', option]);
const at = ['-p', String(second.port), `${second.user}@127.0.0.1`];
const called = spawnSync('ssh', ['-F', 'none', '-i', second.key, ...options, ...at, 'echo it answers'], { encoding: 'utf8' });
await second.stop();
process.stdout.write(called.stdout + called.stderr);
