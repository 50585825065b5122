// Two machines that played the same set: what differs is found and named, what may differ is not, and what no level has code for is told.
import { describe, expect, it } from 'vitest';
import { plain, type CaseResult, type ConformanceSet, type PlayedLine } from '../../../hardware/conformance/case.ts';
import { sideBySide } from '../../../hardware/conformance/compare.ts';
import {
  differenceLines,
  judge,
  junitLines,
  leftOutLines,
  notAskedLines,
  notBootedLines,
  tableLines,
  unplayedLines,
  type Machine,
} from '../../../hardware/conformance/conformance.ts';

const SET: ConformanceSet = {
  modules: [
    { name: 'f32', group: 'floats', wasm: 'f32.wasm', mayLackCode: ['v1', 'v2'], cases: [plain('add', 'add'), plain('mul', 'mul')] },
    {
      name: 'deep',
      group: 'traps',
      wasm: 'deep.wasm',
      mayLackCode: ['v1', 'v2'],
      cases: [plain('without end', 'e', { mayDiffer: [{ quantity: 'slices', why: 'frames' }] })],
    },
  ],
};
const RESULT: CaseResult = {
  outcome: 'returned 0',
  stdout: '0000c07f',
  stderr: '',
  requests: '',
  fuel: 41,
  slices: 2,
  memoryBytesPeak: 131_072,
};

type Changes = {
  readonly results?: Readonly<Record<string, Partial<CaseResult>>>;
  readonly without?: readonly string[];
  readonly sha256?: string | null;
  readonly text?: string;
  readonly digest?: string | null;
  readonly ends?: boolean;
};

function machine(architecture: string, levels: readonly string[], changes: Changes = {}): Machine {
  const lines: PlayedLine[] = [{ kind: 'host', architecture, node: 'v24.1.0', wasmtime: '48', compiler: true }];
  // Every host compiles for every level; it runs those of its own.
  for (const level of ['v1', 'v2']) {
    lines.push({ kind: 'profile', level, text: changes.text ?? 'fuel on\nnan canonical' });
    for (const { name, cases } of SET.modules) {
      const left = changes.without?.includes(name) === true;
      const sha256 = left ? null : changes.sha256 === undefined ? `digest of ${name}` : changes.sha256;
      lines.push({
        kind: 'artefact',
        module: name,
        target: `${architecture}-unknown`,
        level,
        sha256,
        said: left ? 'WM_ENGINE_INVALID: no: SIMD is not enabled' : '3 bytes',
      });
      if (left || !levels.includes(level)) continue;
      for (const one of cases) {
        const result = { ...RESULT, ...changes.results?.[`${name} ${one.name}`] };
        lines.push({ kind: 'case', module: name, level, case: one.name, result });
      }
    }
  }
  lines.push({
    kind: 'run',
    scenario: 'node-failure',
    seed: '0x1',
    verdict: 'held',
    digest: changes.digest === undefined ? 'd1' : changes.digest,
  });
  if (changes.ends !== false) lines.push({ kind: 'end' });
  const expected = {
    levels,
    programs: 1,
    mayLack: architecture === 'x86_64',
    compiles: true,
    runs: [{ scenario: 'node-failure', seed: '0x1' }],
  };
  return { name: architecture, architecture, tier: architecture === 'x86_64' ? 'native' : 'qemu-user', expected, lines };
}

const REFERENCE = machine('x86_64', ['v1', 'v2']);

function placesOf(...machines: readonly Machine[]): readonly string[] {
  const { cells, verdict } = judge(SET, [REFERENCE, ...machines], { wallMs: 1_000 });
  const places = cells.flatMap(({ machine: name, differences }) =>
    differences.map(
      ({ module, case: one, level, quantity, expected, got }) => `${name} ${module} ${one} ${level} ${quantity}: ${expected} | ${got}`,
    ),
  );
  expect(verdict).toBe(places.length === 0 ? 'held' : 'violated');
  return places;
}

/** As the faithful tier plays: cases alone, with code of others. */
function emulated(levels: readonly string[], changes: Changes = {}): Machine {
  const { lines, expected, ...rest } = machine('riscv64', levels, changes);
  return {
    ...rest,
    name: 'riscv64-machine',
    tier: 'qemu-system',
    expected: { ...expected, compiles: false, runs: [] },
    lines: lines.filter(({ kind }) => kind !== 'artefact' && kind !== 'run'),
  };
}

describe('a machine that only runs what was compiled elsewhere', () => {
  it('agrees without artefacts and runs of its own, and its verdict names its tier and what it was not asked for', () => {
    expect(placesOf(emulated(['v1', 'v2']))).toEqual([]);
    const conformance = judge(SET, [REFERENCE, emulated(['v1', 'v2'])], { wallMs: 1_000 });
    expect(conformance.machines.map(({ name, tier, notAsked }) => [name, tier, notAsked])).toEqual([
      ['x86_64', 'native', []],
      ['riscv64-machine', 'qemu-system', ['artefacts', 'simulator']],
    ]);
    expect(notBootedLines(conformance)).toEqual([]);
    expect(notBootedLines(judge(SET, [REFERENCE, machine('aarch64', ['v1', 'v2']), emulated(['v1', 'v2'])], { wallMs: 1_000 }))).toEqual([
      '–  no machine of aarch64 was booted; --tier both boots one of each',
    ]);
    expect(notAskedLines(conformance)).toEqual([
      '–  riscv64-machine (qemu-system) ran the code that x86_64 compiled, as a node does; it was not asked for artefacts and simulator',
    ]);
    const junit = junitLines(conformance).join('\n');
    expect(junit).toContain('<testsuite name="riscv64-machine (qemu-system)"');
    expect(junit).toContain('name="simulator"><skipped message="not asked of this tier"/>');
    const counted = [...junit.matchAll(/<testcase /g)].length;
    expect(junit).toContain(`<testsuites name="wasmmatrix arch" tests="${counted}"`);
  });

  it('is held to every case, and leaves out only what the reference had no code for', () => {
    expect(placesOf(emulated(['v1', 'v2'], { results: { 'f32 add': { stdout: 'ff' } } }))).toEqual([
      'riscv64-machine f32 add v1 stdout: 0000c07f | ff',
      'riscv64-machine f32 add v2 stdout: 0000c07f | ff',
    ]);
    expect(placesOf(emulated(['v1', 'v2'], { without: ['deep'] }))).toEqual([
      'riscv64-machine deep without end v1 whole case: was run | was not run',
      'riscv64-machine deep without end v2 whole case: was run | was not run',
    ]);
    const reference = machine('x86_64', ['v1', 'v2'], { without: ['deep'] });
    const { verdict, cells } = judge(SET, [reference, emulated(['v1', 'v2'], { without: ['deep'] })], { wallMs: 1_000 });
    expect([verdict, cells.find(({ machine: name, group }) => name === 'riscv64-machine' && group === 'traps')?.leftOut]).toEqual([
      'held',
      1,
    ]);
  });
});

describe('machines that played the same set', () => {
  it('agree when every case, artefact and run is the same', () => {
    expect(placesOf(machine('aarch64', ['v1', 'v2']))).toEqual([]);
    const { compared, differences } = judge(SET, [REFERENCE, machine('aarch64', ['v1', 'v2'])], { wallMs: 1_000 });
    // 3 cases at 2 levels on 2 machines, 2 artefacts at 2 levels, 1 run.
    expect([compared, differences]).toEqual([17, 0]);
  });

  it.each([
    ['outcome', 'trapped unreachable'],
    ['stdout', '0000c0ff'],
    ['stderr', '00'],
    ['requests', 'log 61'],
    ['fuel', 42],
    ['slices', 3],
    ['memoryBytesPeak', 196_608],
  ] as const)('differ in the %s of a case', (quantity, value) => {
    expect(placesOf(machine('aarch64', ['v1'], { results: { 'f32 mul': { [quantity]: value } } }))).toEqual([
      `aarch64 f32 mul v1 ${quantity}: ${RESULT[quantity]} | ${value}`,
    ]);
  });

  it('may differ in what a case says may differ, and in nothing else of it', () => {
    expect(placesOf(machine('aarch64', ['v1'], { results: { 'deep without end': { slices: 9 } } }))).toEqual([]);
    expect(placesOf(machine('aarch64', ['v1'], { results: { 'deep without end': { slices: 9, fuel: 1 } } }))).toHaveLength(1);
  });

  it('differ in an artefact, unless its settings differ: then in those alone', () => {
    expect(placesOf(machine('aarch64', ['v1'], { sha256: 'other' }))).toEqual([
      'aarch64 f32  v1 bytes: digest of f32 | other',
      'aarch64 deep  v1 bytes: digest of deep | other',
      'aarch64 f32  v2 bytes: digest of f32 | other',
      'aarch64 deep  v2 bytes: digest of deep | other',
    ]);
    expect(placesOf(machine('aarch64', ['v1'], { sha256: 'other', text: 'fuel on\nnan as computed' }))).toEqual([
      'aarch64   v1 compile profile: nan canonical | nan as computed',
      'aarch64   v2 compile profile: nan canonical | nan as computed',
    ]);
  });

  it('differ in the digest of a run, and in a run that one of them did not play', () => {
    expect(placesOf(machine('aarch64', ['v1'], { digest: 'd2' }))).toEqual(['aarch64 node-failure seed 0x1  digest: held d1 | held d2']);
    const silent = machine('aarch64', ['v1']);
    const lines = silent.lines.filter(({ kind }) => kind !== 'run');
    expect(placesOf({ ...silent, lines })).toEqual(['aarch64    digest of node-failure 0x1: is there | was not played']);
  });

  it('agree in nothing when both have no digest, or when the reference did not play at all', () => {
    const [one, other] = [machine('x86_64', ['v1', 'v2'], { digest: null }), machine('aarch64', ['v1', 'v2'], { digest: null })];
    const without = judge(SET, [one, other], { wallMs: 1_000 });
    expect([without.verdict, without.differences]).toEqual(['violated', 2]);
    expect(differenceLines(without)).toContain('played: digest of node-failure 0x1 differs on x86_64');
    expect(differenceLines(without).at(-1)).toBe('    aarch64  held no digest');
    const unplayed = (of: Machine): Machine => ({ ...of, lines: of.lines.filter(({ kind }) => kind !== 'run') });
    expect(judge(SET, [unplayed(REFERENCE), machine('aarch64', ['v1', 'v2'])], { wallMs: 1_000 }).verdict).toBe('violated');
    expect(judge(SET, [unplayed(REFERENCE), unplayed(machine('aarch64', ['v1', 'v2']))], { wallMs: 1_000 }).verdict).toBe('violated');
  });

  it('do not agree in code that both refuse to make where the set says that there is some', () => {
    const all = ['f32', 'deep'];
    const machines = [machine('x86_64', ['v1', 'v2'], { without: all }), machine('aarch64', ['v1', 'v2'], { without: all })] as const;
    const strict = { modules: SET.modules.map((one) => ({ ...one, mayLackCode: one.name === 'f32' ? ['v1'] : [] })) };
    const told = judge(strict, [REFERENCE, machine('aarch64', ['v1', 'v2'], { without: ['f32'] })], { wallMs: 1_000 }).cells.flatMap(
      ({ differences }) => differences.filter(({ quantity }) => quantity === 'code'),
    );
    expect(told).toMatchObject([
      { level: 'v2', case: 'add', got: 'WM_ENGINE_INVALID: no: SIMD is not enabled' },
      { level: 'v2', case: 'mul' },
    ]);
    expect(judge(strict, [...machines], { wallMs: 1_000 }).verdict).toBe('violated');
  });

  it('says which scenarios were left out, to people, programs and CI', () => {
    const machines = [machine('x86_64', ['v1']), machine('riscv64', ['v1'])] as const;
    const conformance = judge(SET, [machines[0], machines[1]], { unplayed: ['node-failure', 'event-storm'], wallMs: 1_000 });
    expect(conformance.unplayed).toEqual(['node-failure', 'event-storm']);
    expect(unplayedLines(conformance)).toEqual([
      '–  the simulator left out 2 scenarios of the catalogue, whose parts others have; --scenarios all plays them too',
    ]);
    expect(junitLines(conformance).join('\n')).toContain('<property name="scenarios left out" value="node-failure event-storm"/>');
    expect(unplayedLines(judge(SET, [machines[0], machines[1]], { wallMs: 1_000 }))).toEqual([]);
  });

  it('are told where a level has no code for a module, and do not differ there', () => {
    const poor = machine('riscv64', ['v1'], { without: ['f32'] });
    const reference = machine('x86_64', ['v1'], {});
    const both = {
      ...reference,
      lines: [...reference.lines.filter((line) => line.kind !== 'artefact'), ...poor.lines.filter((line) => line.kind === 'artefact')],
    };
    const conformance = judge(SET, [both, poor], { wallMs: 1_000 });
    expect(conformance.verdict).toBe('held');
    expect(conformance.cells.filter(({ machine: name, group }) => name === 'riscv64' && group === 'floats')).toMatchObject([
      { compared: 0, leftOut: 2 },
    ]);
    expect(leftOutLines(both)).toEqual(['–  v1 and v2 have no code for a module (f32): SIMD is not enabled']);
    expect(tableLines(SET, conformance).find((line) => line.startsWith('  v1') && line.includes('–'))).toBeDefined();
  });

  it('differ when a case was not played without a reason, or when one did not come to its end', () => {
    const silent = machine('aarch64', ['v1']);
    const lines = silent.lines.filter((line) => line.kind !== 'case' || line.case !== 'mul');
    expect(placesOf({ ...silent, lines })).toEqual(['aarch64 f32 mul v1 whole case: was run | was not run']);
    expect(placesOf(machine('aarch64', ['v1', 'v2'], { ends: false }))).toEqual(['aarch64    programs that came to their end: 1 | 0']);
  });

  it('do not agree when one says nothing: no level, no artefact, no program to its end', () => {
    const silent = machine('aarch64', ['v1', 'v2']);
    const said = placesOf({ ...silent, lines: [] });
    expect(said).toContain('aarch64   v1 level: is run | was not run');
    expect(said).toContain('aarch64   v2 level: is run | was not run');
    expect(said).toContain('aarch64 f32  v1 bytes: digest of f32 | was not made');
    expect(said).toContain('aarch64    digest of node-failure 0x1: is there | was not played');
  });

  it('may lack a higher level where they are what they are, and no level where they are emulated', () => {
    const lacking = (one: Machine): Machine => ({
      ...one,
      lines: [...one.lines.filter((line) => line.kind !== 'case' || line.level !== 'v2'), { kind: 'left-out', level: 'v2', why: 'no AVX' }],
    });
    expect(judge(SET, [lacking(REFERENCE)], { wallMs: 1_000 }).verdict).toBe('held');
    expect(placesOf(lacking(machine('aarch64', ['v1', 'v2'])))).toEqual(['aarch64   v2 level: is run | no AVX']);
    const none = { ...REFERENCE, lines: REFERENCE.lines.filter((line) => line.kind !== 'case') };
    expect(judge(SET, [none], { wallMs: 1_000 }).verdict).toBe('violated');
  });

  it('hold their own levels to the lowest of the reference', () => {
    const uneven = machine('x86_64', ['v1', 'v2']);
    const lines = uneven.lines.map((line) =>
      line.kind === 'case' && line.level === 'v2' && line.case === 'add' ? { ...line, result: { ...RESULT, fuel: 7 } } : line,
    );
    const { cells } = judge(SET, [{ ...uneven, lines }], { wallMs: 1_000 });
    expect(cells.flatMap(({ differences }) => differences)).toMatchObject([
      { level: 'v2', case: 'add', quantity: 'fuel', expected: '41', got: '7' },
    ]);
  });
});

describe('what is shown of differences', () => {
  it('is the place where two long values part, at a whole byte', () => {
    const [left, right] = ['00'.repeat(100), `${'00'.repeat(60)}01${'00'.repeat(39)}`];
    const [expected, got] = sideBySide({ expected: left, got: right });
    expect(expected).toBe(`…(56 bytes) ${'00'.repeat(32)}…`);
    expect(got).toBe(`…(56 bytes) 0000000001${'00'.repeat(27)}…`);
    expect(sideBySide({ expected: 'a', got: 'b' })).toEqual(['a', 'b']);
  });

  it('is bounded, names both machines, and begins with settings', () => {
    const other = machine('aarch64', ['v1', 'v2'], { results: { 'f32 add': { stdout: 'ff' } }, text: 'fuel on\nnan as computed' });
    const lines = differenceLines(judge(SET, [REFERENCE, other], { wallMs: 1_000 }));
    expect(lines.slice(0, 3)).toEqual([
      'artefacts / v1: compile profile differs on aarch64',
      '    x86_64   nan canonical',
      '    aarch64  nan as computed',
    ]);
    expect(lines).toContain('floats / f32 / add / v1: stdout differs on aarch64');
  });

  it('is a failure of JUnit with its text escaped, and a level without code is skipped', () => {
    const bad = machine('aarch64', ['v1'], { results: { 'f32 add': { stdout: '<&">' } } });
    const text = junitLines(judge(SET, [REFERENCE, bad, machine('riscv64', ['v1'], { without: ['f32'] })], { wallMs: 1_500 })).join('\n');
    expect(text).toContain('<testcase classname="aarch64" name="floats at v1">');
    expect(text).toContain('&lt;&amp;&quot;&gt;');
    expect(text).toContain('<testcase classname="riscv64" name="floats at v1"><skipped message="no code for this level"/></testcase>');
    expect(text).toMatch(
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="wasmmatrix arch" tests="\d+" failures="3" errors="0" time="1\.500">/,
    );
    expect(text.match(/<testcase /g)?.length).toBe(Number(/tests="(\d+)"/.exec(text)?.[1]));
  });
});
