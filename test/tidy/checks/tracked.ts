// What must not be in a repository: paths of one machine, hosts of registries, secrets; and tests that do not run without a
// word of why.
import type { Check, SourceFile, Violation } from './source.ts';

type Pattern = {
  readonly what: string;
  readonly pattern: RegExp;
  readonly instead: string;
};

/** Spelled in parts, so that this file is not a finding of its own. */
const spelled = (...parts: readonly string[]): RegExp => new RegExp(parts.join(''));

const PATTERNS: readonly Pattern[] = [
  {
    what: 'a path of one machine',
    pattern: spelled('(?<![\\w.$}/-])/(?:wo', 'rk|fa', 'rm|ro', 'ot|ho', 'me|Us', 'ers)/[A-Za-z.]'),
    instead: 'derive it from import.meta.url, the home directory or the temporary directory',
  },
  {
    what: 'the host of a registry',
    pattern: spelled(
      '(?:regis',
      'try\\.npmjs\\.org|regis',
      'try\\.yarnpkg\\.com|(?:static|index)\\.cra',
      'tes\\.io|deb\\.deb',
      'ian\\.org|proxy\\.gol',
      'ang\\.org|pythonho',
      'sted\\.org)',
    ),
    instead: 'use what the machine is configured with',
  },
  {
    what: 'a private key',
    pattern: spelled('-----BE', 'GIN [A-Z ]*PRIVATE KEY-----(?:\\\\n|\\s)*[A-Za-z0-9+/=]{20,}'),
    instead: 'make keys when they are needed',
  },
  {
    what: 'what looks like an access token',
    pattern: spelled(
      '\\b(?:AK',
      'IA[0-9A-Z]{16}|gh',
      '[opsu]_[A-Za-z0-9]{30,}|github',
      '_pat_[A-Za-z0-9_]{30,}|np',
      'm_[A-Za-z0-9]{36}|xo',
      'x[bap]-[A-Za-z0-9-]{20,}|sk',
      '-[A-Za-z0-9]{32,})\\b',
    ),
    instead: 'take it from the environment, and revoke this one',
  },
];

const FOCUSED = /\b(?:test|it|describe|suite)(?:\.[a-z]+)*\.only\b/;
const SKIPPED = /\b(?:test|it|describe|suite)(?:\.[a-z]+)*\.(?:skip|skipIf|runIf|todo|fails)\b|\bcontext?\.skip\(|\bctx\.skip\(/;
const REASON = /(\/\/|\*)\s*\S+\s+\S+/;

function findPatterns({ path, text }: SourceFile): readonly Violation[] {
  return PATTERNS.flatMap(({ what, pattern, instead }) =>
    [...text.matchAll(new RegExp(pattern, 'g'))].map(({ index }) => ({
      path,
      line: text.slice(0, index).split('\n').length,
      message: `contains ${what}: ${instead}.`,
    })),
  );
}

function findSleepingTests({ path, text }: SourceFile): readonly Violation[] {
  if (!path.startsWith('test/') || !path.endsWith('.ts') || path.startsWith('test/tidy/checks/')) return [];
  const lines = text.split('\n');
  return lines.flatMap((line, i): readonly Violation[] => {
    if (FOCUSED.test(line)) return [{ path, line: i + 1, message: 'runs one test alone: remove .only.' }];
    if (!SKIPPED.test(line) || REASON.test(line) || /^\s*\/\//.test(lines[i - 1] ?? '')) return [];
    return [{ path, line: i + 1, message: 'leaves a test out without a reason: say why in a comment beside it or above it.' }];
  });
}

export const checkTracked: Check = (files) => files.flatMap((file) => [...findPatterns(file), ...findSleepingTests(file)]);
