// What is made of Debian packages without installing them: sets of files that a lock pins, folders whose programs run by themselves,
// compilers. Refuses to touch the machine's own packages. Surprising: the machine needs apt and dpkg, but need not be a Debian.
export { cancelling, makeFolder, partOf, replaceFile, sweepParts, wordsOf } from './make.ts';
export { fetchPackages, knownSets, lockOf } from './packages.ts';
export { DEBIAN_ARCHITECTURES, type FetchedSet, type LockedSet, type PackageOptions, type PackageSet } from './set.ts';
export {
  FOREIGN_ARCHITECTURES,
  prepareHostToolchain,
  prepareToolchain,
  targetsCache,
  TOOLCHAIN_PACKAGES,
  type ForeignArchitecture,
  type Toolchain,
} from './toolchain.ts';
