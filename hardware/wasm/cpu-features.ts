// ISA features of a machine, from what Linux tells in /proc/cpuinfo. Names are those of system/domain/isa.ts; what is not told,
// or told in another form than expected, is not there. And the level that an agent takes of them.
import { readFileSync } from 'node:fs';
import { findLevel, ISA_AUTO, ISA_LEVELS, knownFeatures, levelOf, type IsaLevel } from '../../system/domain/isa.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';

/** Linux's words for features that it calls otherwise than we do; riscv64 takes extensions as they are called. */
const X86_64_WORDS: Readonly<Record<string, readonly string[]>> = {
  sse3: ['pni'],
  'sse4.1': ['sse4_1'],
  'sse4.2': ['sse4_2'],
  cmpxchg16b: ['cx16'],
  lzcnt: ['abm'],
};
const AARCH64_WORDS: Readonly<Record<string, readonly string[]>> = { lse: ['atomics'] };

/** Key of the line that each processor has, and what its value says. */
const LINES: Readonly<Record<Architecture, { readonly key: string; readonly has: (value: string, feature: string) => boolean }>> = {
  x86_64: { key: 'flags', has: (value, feature) => hasWords(value, X86_64_WORDS[feature] ?? [feature]) },
  aarch64: { key: 'features', has: (value, feature) => hasWords(value, AARCH64_WORDS[feature] ?? [feature]) },
  riscv64: { key: 'isa', has: (value, feature) => extensionsOf(value).has(feature) },
};

function hasWords(value: string, words: readonly string[]): boolean {
  const there = value.split(/\s+/);
  return words.every((word) => there.includes(word));
}

/** `rv64imafdcv_zicsr_zba1p0`: letters, then longer names, with or without versions. `b` is short for three of them. */
function extensionsOf(isa: string): ReadonlySet<string> {
  const match = /^rv64([a-z0-9]*)((?:_[a-z0-9]+)*)$/.exec(isa.trim().toLowerCase());
  if (match === null) return new Set();
  const letters = (match[1] ?? '').replaceAll(/\d+p\d+/g, '');
  const longer = (match[2] ?? '').split('_').map((name) => name.replace(/\d+p\d+$/, ''));
  return new Set([...letters.split(''), ...longer, ...(letters.includes('b') || longer.includes('b') ? ['zba', 'zbb', 'zbs'] : [])]);
}

/** What every processor of the machine has; sorted. Code may run on any of them. */
export function parseCpuFeatures(architecture: Architecture, cpuinfo: string): readonly string[] {
  const { key, has } = LINES[architecture];
  const values = cpuinfo.split('\n').flatMap((line) => {
    const colon = line.indexOf(':');
    return colon >= 0 && line.slice(0, colon).trim().toLowerCase() === key ? [line.slice(colon + 1)] : [];
  });
  if (values.length === 0) return [];
  return knownFeatures(architecture).filter((feature) => values.every((value) => has(value, feature)));
}

/** Of this machine; none where the system does not tell. */
export function readCpuFeatures(architecture: Architecture): readonly string[] {
  try {
    return parseCpuFeatures(architecture, readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return [];
  }
}

export type ChosenLevel = {
  readonly level: IsaLevel;
  /** What the node reports: nothing beyond a level that was named. */
  readonly features: readonly string[];
};

/** What of `features` a node is to use: `wanted` is ISA_AUTO or the name of a level. One that the machine does not reach is refused: its code would not run. */
export function chooseLevel(architecture: Architecture, features: readonly string[], wanted: string): Outcome<ChosenLevel> {
  if (wanted === ISA_AUTO) return ok({ level: levelOf(architecture, features), features });
  const level = findLevel(architecture, wanted);
  if (level === null) {
    return rejected('WM_ARGUMENT', {
      message: `This machine is ${architecture}, and ${wanted} is no ISA feature level of it.`,
      next: `Set isa to ${ISA_AUTO}, or to one of ${ISA_LEVELS[architecture].map(({ name }) => name).join(', ')}.`,
    });
  }
  const missing = level.features.filter((feature) => !features.includes(feature));
  if (missing.length > 0) {
    return rejected('WM_ARGUMENT', {
      message: `This machine lacks ${missing.join(', ')}, which code of the ISA feature level ${wanted} may use.`,
      next: `Set isa to ${ISA_AUTO}, or to at most ${levelOf(architecture, features).name}.`,
    });
  }
  return ok({ level, features: features.filter((feature) => level.features.includes(feature)) });
}
