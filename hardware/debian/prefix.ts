// A folder of unpacked Debian packages whose programs run on a machine of another release, or of no Debian at all: each program is
// started by the loader and the libraries that came with it, so nothing of the machine's own is asked for, and no right of root.
// Owns how programs are wrapped and how scripts of the linker are pointed at the folder; refuses nothing, knows no package by name.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import { cancelling, makeFolder } from './make.ts';
import { fetchPackages, knownSets } from './packages.ts';
import type { FetchedSet, PackageOptions, PackageSet } from './set.ts';

export type Prefix = {
  readonly folder: string;
  /** Names the bytes of its packages. */
  readonly key: string;
};

/** Where Debian keeps programs: those that people call, and those that compilers call. */
const PROGRAM_FOLDERS = ['usr/bin', 'usr/libexec', 'usr/lib/gcc', 'usr/lib/gcc-cross'];
const LOADER = 'usr/lib64/ld-linux-x86-64.so.2';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Names how a prefix is made: another way, another folder. */
const LAYOUT = 1;
const SCRIPT_BYTES_MAX = 4_096;
const ELF_TYPE_DYNAMIC = 3;
const ELF_SEGMENT_INTERPRETER = 3;

/** The set as a folder, made once; its programs are in `usr/bin` of it. For x86-64. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function preparePrefix(set: PackageSet, options: PackageOptions): Promise<Outcome<Prefix>> {
  // What was unpacked was held to its hashes then; the files themselves may be gone.
  const made = knownSets(set, options).find((known) => existsSync(folderOf(set, known, options)));
  if (made !== undefined) return ok({ folder: folderOf(set, made, options), key: made.key });
  const fetched = await fetchPackages(set, options);
  if (!fetched.ok) return fetched;
  const { files, key, suite } = fetched.value;
  const folder = folderOf(set, fetched.value, options);
  if (existsSync(folder)) return ok({ folder, key });
  options.say(`Unpacking ${set.name} of Debian's ${suite}`);
  const done = await makeFolder(folder, options, async (part) => {
    for (const file of files) await execa('dpkg-deb', ['-x', file, part], { ...cancelling(options.signal), stdin: 'ignore' });
    for (const programs of PROGRAM_FOLDERS) for (const path of filesOf(join(part, programs))) wrapProgram(path, part, folder);
    for (const path of filesOf(join(part, 'usr'))) pointLinkerScript(path, folder);
  });
  return done.ok ? ok({ folder, key }) : done;
}

function folderOf(set: PackageSet, { key }: FetchedSet, options: PackageOptions): string {
  return join(options.cache, 'prefixes', `${set.name}-${key}-${LAYOUT}`);
}

function filesOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** A program becomes a script that starts it; libraries, scripts and what has no loader stay. */
function wrapProgram(path: string, part: string, folder: string): void {
  if ((statSync(path).mode & 0o111) === 0 || !isDynamicProgram(path)) return;
  renameSync(path, `${path}.elf`);
  const place = join(folder, relative(part, path));
  // A compiler finds its parts beside the name it was called by.
  const script = `#!/bin/sh\nexec '${join(folder, LOADER)}' --argv0 "$0" --library-path '${join(folder, LIBRARIES)}' '${place}.elf' "$@"\n`;
  writeFileSync(path, script, { mode: 0o755 });
}

/** An executable of 64 bits that names a loader. */
export function isDynamicProgram(path: string): boolean {
  const head = Buffer.alloc(SCRIPT_BYTES_MAX);
  const file = openSync(path, 'r');
  try {
    if (readSync(file, head) < 64 || head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2) return false;
  } finally {
    closeSync(file);
  }
  if (head.readUInt16LE(16) > ELF_TYPE_DYNAMIC) return false;
  const [start, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  for (let i = 0; i < count && start + i * size + 4 <= head.length; i += 1)
    if (head.readUInt32LE(start + i * size) === ELF_SEGMENT_INTERPRETER) return true;
  return false;
}

/** `libc.so` of a development package is a script that names its libraries by where they would be installed. */
function pointLinkerScript(path: string, folder: string): void {
  if (!path.endsWith('.so') || statSync(path).size > SCRIPT_BYTES_MAX) return;
  const text = readFileSync(path, 'latin1');
  if (!text.startsWith('/* GNU ld script')) return;
  writeFileSync(path, text.replaceAll(/(^|[\s(])\/(usr|lib)\//gm, `$1${folder}/$2/`), 'latin1');
}
