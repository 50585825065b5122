// The way into an emulated machine: Debian's small SSH server and a shell as a layer over the root file system, a client key for each
// machine, and the machine's own host key, which it makes at its first start and tells on its console. Refuses whoever has no key.
// Beside an agent it forwards nothing; as a device it forwards what its user may reach. Reached through a port of loopback only.
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { sshOptions } from '../devices/devices.ts';
import {
  cancelling,
  DEBIAN_ARCHITECTURES,
  fetchPackages,
  knownSets,
  partOf,
  wordsOf,
  type FetchedSet,
  type ForeignArchitecture,
  type PackageOptions,
  type PackageSet,
} from '../debian/debian.ts';
import { keyOf, makeFile, squash } from './squash.ts';

/** Port of the server inside. */
export const SSH_PORT = 22;
/** Who may come in: root beside an agent, somebody without rights where there is none. */
export type SshUser = 'root' | 'device';
/** Program of the layer that prepares the server and becomes it. */
export const SSH_LAYER_UP = '/usr/sbin/ssh-up';
/** Variables of a machine's settings that this program reads. */
const USER_VARIABLE = 'MACHINE_SSH_USER';
const KEY_VARIABLE = 'MACHINE_SSH_KEY';
const KEY_FILE = 'ssh-key';
const HOSTS_FILE = 'known_hosts';
/** What the console says of the host key. */
const HOST_KEY_LINE = /^ssh host key: (ssh-ed25519 [A-Za-z0-9+/=]+)/m;
/** Bound: how long a server may take to greet. */
const GREET_MS_MAX = 5_000;

const ACCOUNTS = {
  'etc/passwd': 'root:x:0:0::/data/home/root:/bin/sh\ndevice:x:1000:1000::/data/home/device:/bin/sh\n',
  'etc/group': 'root:x:0:\ndevice:x:1000:\n',
  'etc/shells': '/bin/sh\n',
} as const;

/** The host key is made once, and is there whole or not at all. */
const UP = `#!/usr/bin/busybox sh
export PATH=/usr/bin:/usr/sbin
/usr/bin/busybox --install -s /usr/bin
umask 077
chmod 1777 /tmp
[ -d /dev/pts ] || mkdir -m 755 /dev/pts
mount -t devpts devpts /dev/pts 2>/dev/null
home=/data/home/$${USER_VARIABLE}
mkdir -p /data/ssh "$home/.ssh"
chmod 711 /data/home
echo "$${KEY_VARIABLE}" >"$home/.ssh/authorized_keys"
chown -R "$${USER_VARIABLE}:" "$home/.ssh"
chown "$${USER_VARIABLE}:" "$home"
if [ ! -f /data/ssh/host ]; then
  rm -f /data/ssh/host.next
  dropbearkey -t ed25519 -f /data/ssh/host.next >/dev/null 2>&1
  sync
  mv /data/ssh/host.next /data/ssh/host
fi
echo "ssh host key: $(dropbearkey -y -f /data/ssh/host | grep '^ssh-ed25519 ')"
forwards='-j -k'
[ "$${USER_VARIABLE}" = root ] || forwards=
unset ${USER_VARIABLE} ${KEY_VARIABLE} WASMMATRIX_JOIN
exec dropbear -F -E -s $forwards -r /data/ssh/host -p ${SSH_PORT}
`;

export type SshWay = {
  readonly user: SshUser;
  readonly port: number;
  /** Files of this machine: a private key, and the host key that is believed. */
  readonly key: string;
  readonly knownHosts: string;
};

function sshSet(architecture: ForeignArchitecture): PackageSet {
  const debian = DEBIAN_ARCHITECTURES[architecture];
  const packages = ['dropbear-bin', 'busybox-static'];
  return {
    name: `ssh-${debian}`,
    architecture: debian,
    // Of no later suite than Node.js: the C library is the one that came with that.
    suites: ['trixie', 'forky', 'sid'].map((suite) => ({ suite, packages })),
    closure: true,
    only: ['dropbear-bin', 'busybox-static', 'libtomcrypt', 'libtommath', 'libgmp10', 'libcrypt1'],
  };
}

/** For the lock file. */
export function sshSets(architectures: readonly ForeignArchitecture[]): readonly PackageSet[] {
  return architectures.map(sshSet);
}

/** The layer, as a file. WM_TARGET_TOOLS, WM_PACKAGES, WM_MACHINE. */
export async function prepareSshLayer(architecture: ForeignArchitecture, options: PackageOptions): Promise<Outcome<string>> {
  const set = sshSet(architecture);
  const imageOf = ({ key }: FetchedSet): string => {
    const name = `ssh-${DEBIAN_ARCHITECTURES[architecture]}-${keyOf(key, UP, ...Object.values(ACCOUNTS))}.squashfs`;
    return join(options.cache, 'images', name);
  };
  const made = knownSets(set, options).map(imageOf).find(existsSync);
  if (made !== undefined) return ok(made);
  const fetched = await fetchPackages(set, options);
  if (!fetched.ok) return fetched;
  const { files } = fetched.value;
  const image = imageOf(fetched.value);
  if (existsSync(image)) return ok(image);
  options.say(`Making the SSH server for ${architecture}`);
  return makeFile(image, async (part) => {
    const work = partOf(join(dirname(image), 'ssh'));
    try {
      mkdirSync(work);
      for (const file of files) await execa('dpkg-deb', ['-x', file, work], { ...cancelling(options.signal), stdin: 'ignore' });
      mkdirSync(join(work, 'etc'), { recursive: true });
      for (const [file, text] of Object.entries(ACCOUNTS)) writeFileSync(join(work, file), text);
      for (const file of ['etc', ...Object.keys(ACCOUNTS)]) chmodSync(join(work, file), file === 'etc' ? 0o755 : 0o644);
      writeFileSync(join(work, SSH_LAYER_UP), UP);
      chmodSync(join(work, SSH_LAYER_UP), 0o755);
      // Documents, and what starts a server that Debian would run.
      await squash(work, part, ['-wildcards', '-e', 'usr/share', 'lib', 'etc/init.d', 'usr/lib/systemd', 'var'], options.signal);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

/** Settings that let the key of a machine in; the key is made when the machine has none. WM_TARGET_TOOLS, WM_MACHINE. */
export async function sshSettings(home: string, user: SshUser): Promise<Outcome<Readonly<Record<string, string>>>> {
  const file = join(home, KEY_FILE);
  if (!existsSync(file)) {
    const part = `${file}.part`;
    for (const old of [part, `${part}.pub`]) rmSync(old, { force: true });
    try {
      await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'wasmmatrix', '-f', part], { stdin: 'ignore' });
    } catch (error) {
      const said = wordsOf(error);
      if (said.includes('ENOENT'))
        return rejected('WM_TARGET_TOOLS', {
          message: 'Machines are reached with ssh and ssh-keygen, which are not here.',
          next: 'Install openssh-client.',
        });
      return failed('WM_MACHINE', { message: `A key could not be made: ${said}.`, next: 'Make room on the disk, or repeat.' });
    }
    renameSync(`${part}.pub`, `${file}.pub`);
    renameSync(part, file);
  }
  return ok({ [USER_VARIABLE]: user, [KEY_VARIABLE]: readFileSync(`${file}.pub`, 'utf8').trim() });
}

/** How to come in; null while the console has not told the machine's host key. The file of believed keys is written from it. */
export function sshWayOf(home: string, console: string, port: number, user: SshUser): SshWay | null {
  const told = existsSync(console) ? HOST_KEY_LINE.exec(readFileSync(console, 'utf8'))?.[1] : undefined;
  if (told === undefined) return null;
  const knownHosts = join(home, HOSTS_FILE);
  const line = `[127.0.0.1]:${port} ${told}\n`;
  if (!existsSync(knownHosts) || readFileSync(knownHosts, 'utf8') !== line) {
    rmSync(knownHosts, { force: true });
    appendFileSync(knownHosts, line, { mode: 0o600 });
  }
  return { user, port, key: join(home, KEY_FILE), knownHosts };
}

/** Arguments of `ssh` up to the command. */
export function sshInto(way: SshWay): readonly string[] {
  return ['-F', 'none', ...sshOptions(way), '-p', String(way.port), '-l', way.user, '127.0.0.1'];
}

/** Whether a server greets at the port; that QEMU takes a call is no sign of one. */
export function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: GREET_MS_MAX });
    let said = '';
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (data) => {
      said += data.toString('latin1');
      if (said.length >= 'SSH-'.length) end(said.startsWith('SSH-'));
    });
    for (const event of ['error', 'timeout', 'close']) socket.on(event, () => end(false));
  });
}
