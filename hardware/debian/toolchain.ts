// Compilers made of Debian packages, as one folder: Rust with cargo and the standard libraries of foreign targets (rustup's has none for
// them here, and Debian's own does not run on older releases), and what links and compiles C for them. It also serves a machine
// that has no Rust of its own. Owns the folder and the environment that tells cargo of it. Of the machine it needs a C compiler,
// for what runs while an engine is built.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { preparePrefix } from './prefix.ts';
import { replaceFile, wordsOf } from './make.ts';
import type { PackageOptions, PackageSet } from './set.ts';

export const FOREIGN_ARCHITECTURES = ['aarch64', 'riscv64'] as const;
export type ForeignArchitecture = (typeof FOREIGN_ARCHITECTURES)[number];

/** A Rust that is not the machine's own. */
export type Toolchain = {
  /** Triple that is built for. */
  readonly target: string;
  /** Names compiler and libraries: another one, another library. */
  readonly version: string;
  /** Path of the program. */
  readonly cargo: string;
  /** Tells cargo of the compilers. */
  readonly environment: Readonly<Record<string, string>>;
};

const HOST_TRIPLE = 'x86_64-unknown-linux-gnu';
const TRIPLES: Readonly<Record<ForeignArchitecture, string>> = {
  aarch64: 'aarch64-unknown-linux-gnu',
  riscv64: 'riscv64gc-unknown-linux-gnu',
};
const LINKERS: Readonly<Record<ForeignArchitecture, string>> = {
  aarch64: 'aarch64-linux-gnu-gcc',
  riscv64: 'riscv64-linux-gnu-gcc',
};

/** What the programs load, on the machine that compiles. */
const COMPILER_LIBRARIES =
  'libllvm22 libz3-4 libc6 libstdc++6 libgcc-s1 libffi8 libedit2 zlib1g libzstd1 libtinfo6 libbsd0 libmd0 liblzma5';
const CARGO_LIBRARIES =
  'libcurl4t64 libbrotli1 libkrb5support0 libcom-err2 libk5crypto3 libkeyutils1 libssl3t64 libkrb5-3 libgssapi-krb5-2 libunistring5 libidn2-0 ' +
  'libsasl2-2 libldap2 libnghttp2-14 libnghttp3-9 libpsl5t64 libssh2-1t64 libpcre2-8-0 libgit2-1.9 libsqlite3-0';
const LINKER_LIBRARIES = 'libgmp10 libisl23 libmpfr6 libmpc3 libjansson4';

/** C compiler, linker and C library for each foreign target, of a version of gcc. */
const linkers = (gcc: number): string =>
  (
    [
      ['aarch64', 'arm64'],
      ['riscv64', 'riscv64'],
    ] as const
  )
    .map(
      ([machine, debian]) =>
        `gcc-${machine}-linux-gnu gcc-${gcc}-${machine}-linux-gnu cpp-${gcc}-${machine}-linux-gnu binutils-${machine}-linux-gnu ` +
        `libgcc-${gcc}-dev-${debian}-cross libgcc-s1-${debian}-cross libc6-${debian}-cross libc6-dev-${debian}-cross linux-libc-dev-${debian}-cross`,
    )
    .join(' ');

export const TOOLCHAIN_PACKAGES: PackageSet = {
  name: 'toolchain',
  architecture: 'amd64',
  suites: [
    {
      suite: 'trixie',
      packages: [
        ...`rustc-web cargo-web libstd-rust-web-1.96 libstd-rust-web-dev ${COMPILER_LIBRARIES} libxml2 libicu76`.split(' '),
        ...`${CARGO_LIBRARIES} libgnutls30t64 libnettle8t64 libhogweed6t64 libp11-kit0 libtasn1-6 librtmp1 libhttp-parser2.9`.split(' '),
        ...'libmbedcrypto16 libmbedx509-7 libmbedtls21'.split(' '),
        ...`${linkers(14)} ${LINKER_LIBRARIES} libsframe1`.split(' '),
        'libstd-rust-web-dev:arm64',
        'libstd-rust-web-dev:riscv64',
      ],
    },
    {
      suite: 'forky',
      packages: [
        ...`rustc cargo libstd-rust-1.97 libstd-rust-dev ${COMPILER_LIBRARIES} libxml2-16 libicu78`.split(' '),
        ...`${CARGO_LIBRARIES} libngtcp2-16 libngtcp2-crypto-ossl0 libllhttp9.4`.split(' '),
        ...`${linkers(16)} ${LINKER_LIBRARIES} libsframe3 linux-libc-dev`.split(' '),
        'libstd-rust-dev:arm64',
        'libstd-rust-dev:riscv64',
      ],
    },
  ],
  closure: false,
};

/** Outside the clone: packages, compilers, file systems, images. */
export function targetsCache(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'wasmmatrix', 'targets');
}

/** Compiler and linker for a target, made when they are first needed. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function prepareToolchain(architecture: ForeignArchitecture, options: PackageOptions): Promise<Outcome<Toolchain>> {
  if (process.arch !== 'x64')
    return rejected('WM_TARGET_TOOLS', {
      message: `Engines for ${architecture} are built on x86-64, and this machine is ${process.arch}.`,
      next: 'Build them on an x86-64 machine.',
    });
  const made = await prepareRust(TRIPLES[architecture], options);
  if (!made.ok) return made;
  const { prefix, toolchain } = made.value;
  const linker = join(prefix, 'usr/bin', LINKERS[architecture]);
  const name = TRIPLES[architecture].replaceAll('-', '_');
  return ok({
    ...toolchain,
    environment: { ...toolchain.environment, [`CARGO_TARGET_${name.toUpperCase()}_LINKER`]: linker, [`CC_${name}`]: linker },
  });
}

/** Rust for a machine that has none. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function prepareHostToolchain(options: PackageOptions): Promise<Outcome<Toolchain>> {
  if (process.arch !== 'x64' || process.platform !== 'linux')
    return rejected('WM_TARGET_TOOLS', {
      message: `Rust is taken from Debian on Linux of x86-64, and this machine is ${process.platform} of ${process.arch}.`,
      next: 'Install Rust with rustup.',
    });
  const made = await prepareRust(HOST_TRIPLE, options);
  return made.ok ? ok(made.value.toolchain) : made;
}

async function prepareRust(
  target: string,
  options: PackageOptions,
): Promise<Outcome<{ readonly prefix: string; readonly toolchain: Toolchain }>> {
  const made = await preparePrefix(TOOLCHAIN_PACKAGES, options);
  if (!made.ok) return made;
  const { folder: prefix, key } = made.value;
  const rustc = join(prefix, 'rustc');
  // The compiler would look for its libraries beside the loader that started it.
  try {
    if (!existsSync(rustc)) replaceFile(rustc, `#!/bin/sh\nexec '${prefix}/usr/bin/rustc' --sysroot '${prefix}/usr' "$@"\n`, 0o755);
  } catch (error) {
    return failed('WM_PACKAGES', {
      message: `${rustc} could not be written: ${wordsOf(error)}.`,
      next: 'Make room on the disk, and repeat.',
    });
  }
  const cargo = join(prefix, 'usr/bin/cargo');
  const version = `debian ${key}`;
  return ok({ prefix, toolchain: { target, version, cargo, environment: { RUSTC: rustc, CARGO: cargo } } });
}
