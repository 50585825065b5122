// What an emulated machine boots: Debian's kernel, a first file system that finds the disks, a root with Node.js and the engine, and the
// product, which is the same for every architecture. Made once and kept; the same inputs give the same bytes.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { execa } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { writeBundle } from './bundle.ts';
import {
  cancelling,
  DEBIAN_ARCHITECTURES,
  fetchPackages,
  knownSets,
  makeFolder,
  partOf,
  wordsOf,
  type FetchedSet,
  type ForeignArchitecture,
  type PackageOptions,
  type PackageSet,
} from '../debian/debian.ts';
import { ORDERS_PORT, ORDERS_SERVED, TASK_VARIABLE } from './orders.ts';
import { buildForeignEngine, prepareNodeRoot, targetsCache, type ForeignOptions } from './qemu.ts';
import { SYSTEM_PATHS } from './disk.ts';
import { keyOf, makeFile, notMade, squash } from './squash.ts';
import { prepareSshLayer, SSH_LAYER_UP } from './ssh.ts';
import { missingSystem } from './system.ts';

export type MachineImage = {
  readonly architecture: ForeignArchitecture;
  readonly kernel: string;
  readonly initrd: string;
  /** Read-only file systems. */
  readonly root: string;
  readonly product: string;
  /** Read-only file system of an SSH server, when there is to be a way in. */
  readonly ssh?: string;
};

const KERNELS: Readonly<Record<ForeignArchitecture, string>> = { aarch64: 'linux-image-cloud-arm64', riscv64: 'linux-image-riscv64' };
/** In the order in which they need each other; what a kernel has built in is not there as a file. */
const MODULES =
  'failover net_failover virtio_net virtio_blk virtio-rng squashfs overlay crc16 mbcache jbd2 crc32c_generic libcrc32c ext4'.split(' ');
/** Nothing of a root that Node.js loads. */
const UNUSED = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/lib/*/gconv',
  'usr/lib/*/perl*',
  'usr/share/perl*',
  'var',
];
const TOOLS = [
  ['mksquashfs', 'squashfs-tools'],
  ['cpio', 'cpio'],
  ['xz', 'xz-utils'],
  ['gzip', 'gzip'],
  ['mkfs.ext4', 'e2fsprogs'],
] as const;
const ENGINE = 'engine.node';

/** Mounts what is there, and hands over to the agent. Everything it needs to know is on the last disk but that of the SSH server. */
const INIT = `#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in ${MODULES.join(' ')}; do [ -f /modules/$m.ko ] && $B insmod /modules/$m.ko; done
$B tr -d '\\000' </dev/vdd >/settings
. /settings
lower=/lower
$B mount -t squashfs -o ro /dev/vda /lower
[ -b /dev/vde ] && $B mount -t squashfs -o ro /dev/vde /ssh && lower=/ssh:/lower
$B mount -t tmpfs tmpfs /upper; $B mkdir /upper/u /upper/w
$B mount -t overlay overlay -o lowerdir=$lower,upperdir=/upper/u,workdir=/upper/w /newroot
$B mkdir -p /newroot/proc /newroot/sys /newroot/dev /newroot/tmp /newroot/product /newroot/data
$B mount -t proc proc /newroot/proc; $B mount -t sysfs sys /newroot/sys; $B mount -t devtmpfs dev /newroot/dev
$B mount -t ext4 /dev/vdc /newroot/data || { echo "the disk of this machine cannot be mounted"; $B poweroff -f; }
$B ip link set lo up; $B ip addr add 10.0.2.15/24 dev eth0; $B ip link set eth0 up; $B ip route add default via 10.0.2.2
export HOME=/data TMPDIR=/tmp
${ORDERS_SERVED}serve_ssh() { while :; do $B chroot /newroot ${SSH_LAYER_UP}; echo "the SSH server ended with $?"; $B sleep 1; done; }
for p in /sys/class/virtio-ports/*; do
  [ -f $p/name ] && $B ln -sf /dev/\${p##*/} /newroot/dev/$($B cat $p/name)
done
if [ "$${TASK_VARIABLE}" ]; then
  # A port takes less at a time than a program may write; cat goes on with the rest.
  { $B chroot /newroot $${TASK_VARIABLE}; echo "the task ended with $?" >/dev/console; } | $B cat >/newroot/dev/records
  $B poweroff -f
fi
[ -e /newroot/dev/${ORDERS_PORT} ] && serve_orders &
[ "$WASMMATRIX_JOIN" ] || serve_ssh
[ -b /dev/vde ] && serve_ssh &
$B mount -t squashfs -o ro /dev/vdb /newroot/product
while [ ! -f /ending ]; do
  $B chroot /newroot /usr/bin/node /product/cli.js agent --json --data /data/agent &
  echo $! >/agent.pid
  wait $!
  echo "the agent ended with $?"
  [ -f /ending ] || $B sleep 1
done
$B sync
$B umount /newroot/data
$B poweroff -f
`;

function kernelSet(architecture: ForeignArchitecture): PackageSet {
  const debian = DEBIAN_ARCHITECTURES[architecture];
  const packages = [KERNELS[architecture], 'busybox-static'];
  return {
    name: `kernel-${debian}`,
    architecture: debian,
    suites: ['trixie', 'forky', 'sid'].map((suite) => ({ suite, packages })),
    closure: true,
    only: ['linux-image-', 'busybox-static'],
  };
}

/** For the lock file. */
export function imageSets(architectures: readonly ForeignArchitecture[]): readonly PackageSet[] {
  return architectures.map(kernelSet);
}

/** WM_TARGET_TOOLS, WM_PACKAGES, WM_ENGINE_TOOLCHAIN, WM_ENGINE_BUILD; WM_MACHINE: the packages are there, and no image came of them. */
export async function prepareImage(
  architecture: ForeignArchitecture,
  options: ForeignOptions & {
    readonly ssh?: boolean;
    /** Folder that they are kept in, when it is not the cache. */
    readonly folder?: string;
  },
): Promise<Outcome<MachineImage>> {
  const missing = await missingForImage(architecture, options.ssh === true);
  if (missing !== null) return missing;
  const packageOptions: PackageOptions = { cache: targetsCache(), say: options.say, signal: options.signal };
  const root = await prepareNodeRoot(architecture, packageOptions);
  if (!root.ok) return root;
  const engine = await buildForeignEngine(architecture, { ...options, ...packageOptions }, { compiler: false });
  if (!engine.ok) return engine;
  const images = options.folder ?? join(packageOptions.cache, 'images');
  const boot = await prepareBoot(architecture, images, packageOptions);
  if (!boot.ok) return boot;
  const rootImage = join(images, `root-${basename(root.value.folder)}-${keyOf(readFileSync(engine.value))}.squashfs`);
  const signal = options.signal;
  if (!existsSync(rootImage)) {
    options.say(`Making the root file system for ${architecture}`);
    const made = await makeFile(rootImage, (part) => makeRoot(root.value.folder, engine.value, part, signal));
    if (!made.ok) return made;
  }
  const product = await prepareProduct(images, options);
  if (!product.ok) return product;
  const ssh = options.ssh === true ? await prepareSshLayer(architecture, packageOptions) : ok(undefined);
  if (!ssh.ok) return ssh;
  const files = { kernel: join(boot.value, 'vmlinuz'), initrd: join(boot.value, 'initrd.gz'), root: rootImage, product: product.value };
  return ok({ architecture, ...files, ...(ssh.value === undefined ? {} : { ssh: ssh.value }) });
}

/** The part of an image that needs no engine, made ahead. As `prepareImage`. */
export async function prepareKernel(architecture: ForeignArchitecture, options: ForeignOptions): Promise<Outcome<void>> {
  const packageOptions: PackageOptions = { cache: targetsCache(), say: options.say, signal: options.signal };
  const boot = await prepareBoot(architecture, join(packageOptions.cache, 'images'), packageOptions);
  return boot.ok ? ok() : boot;
}

/** Null: everything that makes an image and runs it is here. WM_TARGET_TOOLS. */
export async function missingForImage(architecture: ForeignArchitecture, ssh: boolean): Promise<Outcome<never> | null> {
  for (const [program, name] of ssh ? [...TOOLS, ['ssh-keygen', 'openssh-client'] as const] : TOOLS) {
    if (await answers(program)) continue;
    return rejected('WM_TARGET_TOOLS', {
      message: `Machines are made with ${program}, which is not here.`,
      next: `Install it: apt-get install --no-install-recommends ${name}.`,
    });
  }
  return missingSystem(architecture);
}

/** Folder of the kernel and the first file system. */
async function prepareBoot(architecture: ForeignArchitecture, images: string, options: PackageOptions): Promise<Outcome<string>> {
  const set = kernelSet(architecture);
  const folderOf = ({ key }: FetchedSet): string => join(images, `boot-${DEBIAN_ARCHITECTURES[architecture]}-${keyOf(key, INIT)}`);
  const made = knownSets(set, options).map(folderOf).find(existsSync);
  if (made !== undefined) return ok(made);
  const kernel = await fetchPackages(set, options);
  if (!kernel.ok) return kernel;
  const folder = folderOf(kernel.value);
  if (existsSync(folder)) return ok(folder);
  options.say(`Making the kernel and first file system for ${architecture}`);
  const done = await makeFolder(folder, options, (part) => makeBoot(kernel.value.files, part, options.signal));
  return done.ok ? ok(folder) : notMade(folder, done.error.message);
}

async function makeBoot(packages: readonly string[], part: string, signal: AbortSignal | undefined): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'wasmmatrix-boot-'));
  try {
    for (const file of packages) await execa('dpkg-deb', ['-x', file, work], { ...cancelling(signal), stdin: 'ignore' });
    const first = join(work, 'first');
    for (const name of ['bin', 'dev', 'proc', 'sys', 'lower', 'ssh', 'upper', 'newroot', 'modules'])
      mkdirSync(join(first, name), { recursive: true });
    copyFileSync(join(work, 'usr/bin/busybox'), join(first, 'bin/busybox'));
    writeFileSync(join(first, 'init'), INIT);
    chmodSync(join(first, 'init'), 0o755);
    const drivers = readdirSync(join(work, 'usr/lib/modules'), { recursive: true, encoding: 'utf8' });
    for (const name of MODULES) {
      const found = drivers.find((path) => path.endsWith(`/${name}.ko.xz`) || path.endsWith(`/${name}.ko`));
      if (found === undefined) continue;
      const to = join(first, 'modules', basename(found));
      copyFileSync(join(work, 'usr/lib/modules', found), to);
      if (to.endsWith('.xz')) await execa('xz', ['-d', to], { stdin: 'ignore' });
    }
    const names = readdirSync(first, { recursive: true, encoding: 'utf8' }).sort();
    const archive = join(part, 'initrd');
    // No time, owner or order of this machine is in it.
    await execa('find', [first, '-exec', 'touch', '-h', '-d', '@0', '{}', '+'], { stdin: 'ignore' });
    await execa('cpio', ['--quiet', '--reproducible', '-R', '0:0', '-o', '-H', 'newc', '-F', archive], {
      ...cancelling(signal),
      cwd: first,
      input: `${['.', ...names].join('\n')}\n`,
    });
    await execa('gzip', ['-n', archive], { stdin: 'ignore' });
    const kernel = readdirSync(join(work, 'boot')).find((name) => name.startsWith('vmlinu'));
    copyFileSync(join(work, 'boot', kernel ?? 'vmlinuz'), join(part, 'vmlinuz'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeRoot(folder: string, engine: string, file: string, signal: AbortSignal | undefined): Promise<void> {
  const work = partOf(join(dirname(file), 'root'));
  try {
    cpSync(folder, work, { recursive: true, verbatimSymlinks: true });
    mkdirSync(join(work, 'opt'), { recursive: true });
    copyFileSync(engine, join(work, 'opt', ENGINE));
    await squash(work, file, ['-wildcards', '-e', ...UNUSED], signal);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What an agent loads, as a few files. */
async function prepareProduct(images: string, { say, signal }: ForeignOptions): Promise<Outcome<string>> {
  const work = partOf(join(images, 'product'));
  try {
    mkdirSync(work, { recursive: true });
    await writeBundle(work, signal);
    const file = join(images, `product-${keyOf(...contentsOf(work))}.squashfs`);
    if (existsSync(file)) return ok(file);
    say('Making the file system of the product');
    return await makeFile(file, (part) => squash(work, part, [], signal));
  } catch (error) {
    return failed('WM_MACHINE', {
      message: `The product could not be packed: ${wordsOf(error)}.`,
      next: 'Correct what it names, and repeat.',
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function contentsOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .flatMap((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]);
}

async function answers(program: string): Promise<boolean> {
  const env = { PATH: `${process.env['PATH'] ?? ''}${SYSTEM_PATHS}` };
  // Some know no version, and one of them would ask for a key otherwise.
  const { code } = await execa(program, ['--version'], { stdin: 'ignore', reject: false, env });
  return code !== 'ENOENT';
}
