// A set of Debian packages: what is wanted of which suite, and what it came to as bytes. Data only, and how bytes are named.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As Debian calls them. */
export type DebianArchitecture = 'amd64' | 'arm64' | 'riscv64';
export const DEBIAN_ARCHITECTURES = { x86_64: 'amd64', aarch64: 'arm64', riscv64: 'riscv64' } as const;

export type PackageSet = {
  /** Its name in the lock file. */
  readonly name: string;
  /** Of packages that name none. */
  readonly architecture: DebianArchitecture;
  /** What is wanted of a suite, with `:architecture` where it is another one; suites are tried in this order. */
  readonly suites: readonly { readonly suite: string; readonly packages: readonly string[] }[];
  /** Also everything that the packages depend on. */
  readonly closure: boolean;
  /** Of those, only the ones that begin so; all when absent. */
  readonly only?: readonly string[];
};

export type FetchedSet = {
  readonly suite: string;
  /** The .deb files. */
  readonly files: readonly string[];
  /** Names all of their bytes: what is made of them is kept under it. */
  readonly key: string;
};

export type LockedPackage = { readonly file: string; readonly sha256: string };
export type LockedSet = { readonly suite: string; readonly packages: readonly LockedPackage[] };
export type Lock = Readonly<Record<string, LockedSet>>;

export type PackageOptions = {
  /** Where packages and indexes are kept. */
  readonly cache: string;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** The lock file of the repository unless given. */
  readonly lock?: Lock;
  /** What the archive has now, whatever it had when it was last asked. */
  readonly renew?: true;
};

export function packagesFolder(cache: string): string {
  return join(cache, 'packages');
}

export function fetchedOf({ suite, packages }: LockedSet, cache: string): FetchedSet {
  const hash = createHash('sha256');
  for (const { file, sha256 } of packages) hash.update(`${file} ${sha256}\n`);
  return { suite, files: packages.map(({ file }) => join(packagesFolder(cache), file)), key: hash.digest('hex').slice(0, 32) };
}

/** Whether every file is there with its bytes. */
export function isWhole({ packages }: LockedSet, cache: string): boolean {
  return packages.every(({ file, sha256 }) => hashOfFile(join(packagesFolder(cache), file)) === sha256);
}

/** Null: it is not there. */
export function hashOfFile(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return null;
  }
}
