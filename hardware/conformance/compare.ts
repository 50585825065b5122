// Two machines played the same set: do they agree? Compared are every quantity of every case, byte by byte, and every artefact that both
// compiled. One is the reference; what the other has else is a difference, named by where it is and shown side by side.
import { QUANTITIES, type CaseResult, type ConformanceSet, type PlayedLine } from './case.ts';

/** Everything that one machine printed. */
export type Played = {
  /** As the matrix calls it: architecture, level, tier. */
  readonly name: string;
  readonly lines: readonly PlayedLine[];
};

export type RunName = { readonly scenario: string; readonly seed: string };

export type Expected = {
  /** Of its architecture, lowest first. */
  readonly levels: readonly string[];
  /** Programs that it was given to play. */
  readonly programs: number;
  /** Whether it compiles every module for every level, and so has artefacts to compare. */
  readonly compiles: boolean;
  /** What it plays in the simulator; nothing: it is not asked to. */
  readonly runs: readonly RunName[];
  /** Whether it may lack all levels but the first. */
  readonly mayLack: boolean;
};

export type Difference = {
  readonly group: string;
  readonly module: string;
  /** Level of the code. */
  readonly level: string;
  readonly case: string;
  readonly quantity: string;
  readonly expected: string;
  readonly got: string;
};

/** What a machine was compared in; a group of cases, of artefacts, or of runs of the simulator. */
export type Cell = {
  readonly machine: string;
  readonly level: string;
  readonly group: string;
  /** Things that were compared. */
  readonly compared: number;
  /** Cases of modules that this level has no code for. */
  readonly leftOut: number;
  readonly differences: readonly Difference[];
};

/** The quantity that is the settings of a level. */
export const PROFILE = 'compile profile';
/** Text that a sentence shows of a value. */
const SHOWN_MAX = 64;

type CaseLine = Extract<PlayedLine, { readonly kind: 'case' }>;
type ArtefactLine = Extract<PlayedLine, { readonly kind: 'artefact' }>;

const keyOf = (...parts: readonly string[]): string => parts.join('\0');

/**
 * Every case that `played` ran, against the reference's result at its own first level, which every level has to equal. `compiler` made
 * the code that it ran, and says for what there is none: that leaves out a case only where the set says that there may be none.
 */
export function compareCases(set: ConformanceSet, reference: Played, played: Played, compiler = played): readonly Cell[] {
  const results = casesOf(played);
  const base = casesOf(reference);
  const [baseline] = levelsOf(reference);
  const refused = new Map(
    artefactsOf(compiler).flatMap((line) => (line.sha256 === null ? [[keyOf(line.level, line.module), line.said]] : [])),
  );
  return levelsOf(played).flatMap((level) =>
    groupsOf(set).map((group): Cell => {
      const differences: Difference[] = [];
      let [compared, leftOut] = [0, 0];
      for (const { name: module, mayLackCode, cases } of set.modules.filter((one) => one.group === group)) {
        for (const { name, mayDiffer } of cases) {
          const expected = base.get(keyOf(baseline ?? '', module, name));
          const got = results.get(keyOf(level, module, name));
          const differ = (quantity: string, left: string, right: string): void =>
            void differences.push({ group, module, level, case: name, quantity, expected: left, got: right });
          if (got === undefined) {
            const why = refused.get(keyOf(level, module));
            if (why !== undefined && mayLackCode.includes(level)) leftOut += 1;
            else if (why !== undefined) differ('code', 'is made for this level', why);
            else differ('whole case', expected === undefined ? 'was not run' : 'was run', 'was not run');
            continue;
          }
          compared += 1;
          if (expected === undefined) differ('whole case', 'was not run', 'was run');
          else
            for (const quantity of QUANTITIES) {
              if (expected[quantity] !== got[quantity] && !mayDiffer.some((allowed) => allowed.quantity === quantity))
                differ(quantity, String(expected[quantity]), String(got[quantity]));
            }
        }
      }
      return { machine: played.name, level, group, compared, leftOut, differences };
    }),
  );
}

/**
 * Every artefact that both hosts made for the same module and level: the same bytes, or refused by both with the same words. Where the
 * settings of a level differ, that is the difference, and nothing is said of what follows from it.
 */
export function compareArtefacts(reference: Played, played: Played): readonly Cell[] {
  const mine = new Map(artefactsOf(played).map((line) => [keyOf(line.level, line.module), line]));
  const levels = [...new Set(artefactsOf(reference).map(({ level }) => level))];
  return levels.map((level): Cell => {
    const lines = artefactsOf(reference).filter((line) => line.level === level);
    const profile = profileDifference(profileOf(reference, level), profileOf(played, level), level);
    if (profile !== null)
      return { machine: played.name, level, group: 'artefacts', compared: lines.length, leftOut: 0, differences: [profile] };
    const differences = lines.flatMap((line): readonly Difference[] => {
      const got = mine.get(keyOf(level, line.module));
      const said = (one: ArtefactLine | undefined): string => (one === undefined ? 'was not made' : (one.sha256 ?? one.said));
      if (said(line) === said(got)) return [];
      return [{ group: 'artefacts', module: line.module, level, case: '', quantity: 'bytes', expected: said(line), got: said(got) }];
    });
    return { machine: played.name, level, group: 'artefacts', compared: lines.length, leftOut: 0, differences };
  });
}

/**
 * Whether it played what it was given: code of every level of its architecture, and each of its programs to the end. Who says nothing
 * does not agree. Only a machine that is what it is, and not emulated, may lack a higher level.
 */
export function checkPlayed(played: Played, { levels, programs, mayLack, runs }: Expected): readonly Cell[] {
  const cellOf = (level: string, leftOut: number, missing: Pick<Difference, 'quantity' | 'expected' | 'got'> | null): Cell => {
    const place = { group: 'played', module: '', level, case: '' };
    return {
      machine: played.name,
      level,
      group: 'played',
      compared: 0,
      leftOut,
      differences: missing === null ? [] : [{ ...place, ...missing }],
    };
  };
  const run = levelsOf(played);
  const digests = digestsOf(played);
  const without = runs.filter((run) => !digests.has(keyOf(run.scenario, run.seed)));
  const ends = played.lines.filter(({ kind }) => kind === 'end').length;
  return [
    ...levels.map((level, i): Cell => {
      if (run.includes(level)) return cellOf(level, 0, null);
      const line = played.lines.find((one) => one.kind === 'left-out' && one.level === level);
      if (line?.kind === 'left-out' && mayLack && i > 0) return cellOf(level, 1, null);
      return cellOf(level, 0, { quantity: 'level', expected: 'is run', got: line?.kind === 'left-out' ? line.why : 'was not run' });
    }),
    cellOf(
      '',
      0,
      ends === programs ? null : { quantity: 'programs that came to their end', expected: String(programs), got: String(ends) },
    ),
    // Two that both have no digest agree in nothing.
    ...without.map(({ scenario, seed }) => {
      const got = played.lines.find((line) => line.kind === 'run' && line.scenario === scenario && line.seed === seed);
      const verdict = got?.kind === 'run' ? `${got.verdict} no digest` : 'was not played';
      return cellOf('', 0, { quantity: `digest of ${scenario} ${seed}`, expected: 'is there', got: verdict });
    }),
  ];
}

function profileOf({ lines }: Played, level: string): string {
  const line = lines.find((one) => one.kind === 'profile' && one.level === level);
  return line?.kind === 'profile' ? line.text : '';
}

function profileDifference(expected: string, got: string, level: string): Difference | null {
  // Who said nothing of it is told by what is missing.
  if (expected === got || got === '') return null;
  const [left, right] = [expected.split('\n'), got.split('\n')];
  const only = (mine: readonly string[], theirs: readonly string[]): string =>
    mine.filter((line) => !theirs.includes(line)).join(', ') || 'nothing of it';
  return {
    group: 'artefacts',
    module: '',
    level,
    case: '',
    quantity: PROFILE,
    expected: only(left, right),
    got: only(right, left),
  };
}

/** Verdicts and digests of the runs that both were asked for; one without is told by `checkPlayed`, and compared with nothing. */
export function compareRuns(reference: Played, played: Played, runs: readonly RunName[]): Cell {
  const [base, mine] = [digestsOf(reference), digestsOf(played)];
  const both = runs.filter(({ scenario, seed }) => base.has(keyOf(scenario, seed)) && mine.has(keyOf(scenario, seed)));
  const differences = both.flatMap(({ scenario, seed }): readonly Difference[] => {
    const [expected = '', got = ''] = [base.get(keyOf(scenario, seed)), mine.get(keyOf(scenario, seed))];
    return got === expected
      ? []
      : [{ group: 'simulator', module: scenario, level: '', case: `seed ${seed}`, quantity: 'digest', expected, got }];
  });
  return { machine: played.name, level: '', group: 'simulator', compared: both.length, leftOut: 0, differences };
}

/** Verdict and digest of each run that has one. */
function digestsOf({ lines }: Played): ReadonlyMap<string, string> {
  return new Map(
    lines.flatMap((line) =>
      line.kind === 'run' && line.digest !== null ? [[keyOf(line.scenario, line.seed), `${line.verdict} ${line.digest}`]] : [],
    ),
  );
}

/** Where two texts part, with what stands around it. */
export function sideBySide({ expected, got }: Pick<Difference, 'expected' | 'got'>): readonly [string, string] {
  if (expected.length <= SHOWN_MAX && got.length <= SHOWN_MAX) return [expected, got];
  let at = 0;
  while (at < expected.length && expected[at] === got[at]) at += 1;
  // Bytes are two digits each.
  const from = Math.max(0, at - (at % 2) - 8);
  const part = (text: string): string =>
    `${from > 0 ? `…(${from / 2} bytes) ` : ''}${text.slice(from, from + SHOWN_MAX)}${text.length > from + SHOWN_MAX ? '…' : ''}`;
  return [part(expected), part(got)];
}

export function groupsOf(set: ConformanceSet): readonly string[] {
  return [...new Set(set.modules.map(({ group }) => group))];
}

function casesOf({ lines }: Played): ReadonlyMap<string, CaseResult> {
  return new Map(
    lines.filter((line): line is CaseLine => line.kind === 'case').map((line) => [keyOf(line.level, line.module, line.case), line.result]),
  );
}

function artefactsOf({ lines }: Played): readonly ArtefactLine[] {
  return lines.filter((line): line is ArtefactLine => line.kind === 'artefact');
}

/** Levels of which code was run, lowest first. */
function levelsOf({ lines }: Played): readonly string[] {
  return [...new Set(lines.flatMap((line) => (line.kind === 'case' ? [line.level] : [])))];
}
