// A Rust compiler for foreign targets and what links its code, as one folder made of Debian packages: rustup's has no standard
// library for them here, and Debian's own does not run on older releases. So its programs are started by the loader of their own
// release. Owns the folder and the environment that tells cargo of it; cargo and the linkers for the targets are the machine's.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { CrossToolchain } from '../wasm/build/build.ts';
import { fetchPackages, unpack, type PackageOptions, type PackageSet } from './packages.ts';

export const FOREIGN_ARCHITECTURES = ['aarch64', 'riscv64'] as const;
export type ForeignArchitecture = (typeof FOREIGN_ARCHITECTURES)[number];

type Target = { readonly triple: string; readonly linker: string; readonly packages: string };

const TARGETS: Readonly<Record<ForeignArchitecture, Target>> = {
  aarch64: {
    triple: 'aarch64-unknown-linux-gnu',
    linker: 'aarch64-linux-gnu-gcc',
    packages: 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross',
  },
  riscv64: {
    triple: 'riscv64gc-unknown-linux-gnu',
    linker: 'riscv64-linux-gnu-gcc',
    packages: 'gcc-riscv64-linux-gnu libc6-dev-riscv64-cross',
  },
};

/** What every program of the compiler loads, on the machine that compiles. */
const LIBRARIES = 'libllvm22 libz3-4 libc6 libstdc++6 libgcc-s1 libffi8 libedit2 zlib1g libzstd1 libtinfo6 libbsd0 libmd0 liblzma5';

export const RUST_PACKAGES: PackageSet = {
  name: 'rust',
  architecture: 'amd64',
  suites: [
    {
      suite: 'trixie',
      packages: [
        ...`rustc-web libstd-rust-web-1.96 libstd-rust-web-dev ${LIBRARIES} libxml2 libicu76`.split(' '),
        'libstd-rust-web-dev:arm64',
        'libstd-rust-web-dev:riscv64',
      ],
    },
    {
      suite: 'forky',
      packages: [
        ...`rustc libstd-rust-1.97 libstd-rust-dev ${LIBRARIES} libxml2-16 libicu78`.split(' '),
        'libstd-rust-dev:arm64',
        'libstd-rust-dev:riscv64',
      ],
    },
  ],
  closure: false,
};

/** Compiler and linker for a target, made when they are first needed. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function prepareToolchain(architecture: ForeignArchitecture, options: PackageOptions): Promise<Outcome<CrossToolchain>> {
  const { triple, linker, packages } = TARGETS[architecture];
  if (process.arch !== 'x64')
    return rejected('WM_TARGET_TOOLS', {
      message: `Engines for ${architecture} are built on x86-64, and this machine is ${process.arch}.`,
      next: 'Build them on an x86-64 machine.',
    });
  const version = await versionOf(linker);
  if (version === null)
    return rejected('WM_TARGET_TOOLS', {
      message: `The engine for ${architecture} is linked by ${linker}, which is not here.`,
      next: `Install it: apt-get install --no-install-recommends ${packages}.`,
    });
  const fetched = await fetchPackages(RUST_PACKAGES, options);
  if (!fetched.ok) return fetched;
  const prefix = join(options.cache, 'rust', fetched.value.key);
  if (!existsSync(prefix)) {
    mkdirSync(dirname(prefix), { recursive: true });
    options.say(`Unpacking the Rust of Debian's ${fetched.value.suite}`);
    const unpacked = await unpack(fetched.value.files, prefix, options);
    if (!unpacked.ok) return unpacked;
  }
  const rustc = join(options.cache, 'rust', `rustc-${fetched.value.key}`);
  writeFileSync(
    rustc,
    `#!/bin/sh\nexec '${prefix}/usr/lib64/ld-linux-x86-64.so.2' --library-path '${prefix}/usr/lib/x86_64-linux-gnu' '${prefix}/usr/bin/rustc' --sysroot '${prefix}/usr' "$@"\n`,
    { mode: 0o755 },
  );
  const name = triple.replaceAll('-', '_');
  return ok({
    target: triple,
    version: `debian ${fetched.value.key}\n${version}`,
    environment: { RUSTC: rustc, [`CARGO_TARGET_${name.toUpperCase()}_LINKER`]: linker, [`CC_${name}`]: linker },
  });
}

async function versionOf(linker: string): Promise<string | null> {
  try {
    const { stdout } = await execa(linker, ['--version'], { stdin: 'ignore' });
    return stdout.split('\n')[0] ?? '';
  } catch {
    return null;
  }
}
