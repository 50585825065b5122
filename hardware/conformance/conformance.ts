// Does this build behave identically on every architecture? The machines that played, what they were compared in, and the verdict.
import {
  PROFILE,
  checkPlayed,
  compareArtefacts,
  compareCases,
  compareRuns,
  groupsOf,
  sideBySide,
  type Cell,
  type Difference,
  type Expected,
  type Played,
} from './compare.ts';
import { describeError } from '../../system/domain/outcome.ts';
import type { ConformanceSet } from './case.ts';
import type { FailedPart } from './parts.ts';

export type { Cell, Difference, Played } from './compare.ts';

export type Machine = Played & {
  readonly architecture: string;
  /** `native`, or what emulated it. */
  readonly tier: string;
  readonly expected: Expected;
};

export type Conformance = {
  readonly schema: 1;
  /** `incomplete`: what was compared does not differ, and something was not compared because it failed. */
  readonly verdict: 'held' | 'violated' | 'incomplete';
  readonly machines: readonly {
    readonly name: string;
    readonly architecture: string;
    readonly tier: string;
    readonly node: string;
    /** What it was not asked to do, and others were. */
    readonly notAsked: readonly string[];
  }[];
  /** What was to be compared, and came to nothing. */
  readonly failed: readonly FailedPart[];
  readonly cells: readonly Cell[];
  readonly compared: number;
  readonly differences: number;
  /** Scenarios of the catalogue that were left out, as nobody asked for them. */
  readonly unplayed: readonly string[];
  readonly wallMs: number;
};

/** Columns of the table after the groups of cases. */
const OTHER_GROUPS = ['artefacts', 'simulator'] as const;
/** Bound: differences that a person is told; the JSON has all. Few of each group, so that none hides another. */
const DIFFERENCES_TOLD_MAX = 12;
const OF_A_GROUP_TOLD_MAX = 3;

/** The first machine is the reference. It is compared with itself as well: its levels are held to its baseline. */
export function judge(
  set: ConformanceSet,
  machines: readonly [Machine, ...Machine[]],
  told: { readonly failed?: readonly FailedPart[]; readonly unplayed?: readonly string[]; readonly wallMs: number },
): Conformance {
  const { failed = [], unplayed = [], wallMs } = told;
  const [reference] = machines;
  const cells = machines.flatMap((machine) => [
    ...checkPlayed(machine, machine.expected),
    ...compareCases(set, reference, machine, machine.expected.compiles ? machine : reference),
    ...(machine === reference || !machine.expected.compiles ? [] : compareArtefacts(reference, machine)),
    ...(machine === reference || machine.expected.runs.length === 0 ? [] : [compareRuns(reference, machine, machine.expected.runs)]),
  ]);
  const differences = cells.reduce((total, cell) => total + cell.differences.length, 0);
  return {
    schema: 1,
    verdict: differences > 0 ? 'violated' : failed.length > 0 ? 'incomplete' : 'held',
    machines: machines.map(({ name, architecture, tier, lines, expected }) => {
      const host = lines.find((line) => line.kind === 'host');
      const notAsked = OTHER_GROUPS.filter((group) => !(group === 'artefacts' ? expected.compiles : expected.runs.length > 0));
      return { name, architecture, tier, node: host?.node ?? 'unknown', notAsked };
    }),
    failed,
    cells,
    compared: cells.reduce((total, cell) => total + cell.compared, 0),
    differences,
    unplayed,
    wallMs,
  };
}

/** The matrix: a row for each machine and level, a column for each group. */
export function tableLines(set: ConformanceSet, { machines, cells }: Conformance): readonly string[] {
  const groups = [...groupsOf(set), ...OTHER_GROUPS.filter((group) => cells.some((cell) => cell.group === group))];
  const rows: (readonly string[])[] = [['', ...groups]];
  for (const { name, architecture, tier, node } of machines) {
    rows.push([`${architecture} · ${tier} · Node.js ${node.replace(/^v/, '')}`]);
    const mine = cells.filter((cell) => cell.machine === name);
    const levels = [...new Set(mine.filter((cell) => cell.group !== 'artefacts').map((cell) => cell.level))].filter(
      (level) => level !== '',
    );
    for (const level of levels) {
      rows.push([
        `  ${level}`,
        ...groups.map((group) =>
          OTHER_GROUPS.includes(group as 'simulator') ? '' : shown(mine.filter((cell) => cell.level === level && cell.group === group)),
        ),
      ]);
    }
    const others = groups.map((group) =>
      OTHER_GROUPS.includes(group as 'simulator') ? shown(mine.filter((cell) => cell.group === group)) : '',
    );
    if (others.some((text) => text !== '')) rows.push(['  as a host', ...others]);
  }
  const width = Math.max(...rows.filter((row) => row.length > 1).map(([first = '']) => first.length));
  const widths = groups.map((_, i) => Math.max(...rows.map((row) => row[i + 1]?.length ?? 0)));
  return rows.map(([first = '', ...rest]) =>
    rest.length === 0 ? first : `${first.padEnd(width)}  ${rest.map((text, i) => text.padStart(widths[i] ?? 0)).join('  ')}`.trimEnd(),
  );
}

/** Which machines only ran what was compiled elsewhere. */
export function notAskedLines({ machines }: Conformance): readonly string[] {
  return machines.flatMap(({ name, tier, notAsked }) =>
    notAsked.includes('artefacts')
      ? [
          `–  ${name} (${tier}) ran the code that ${machines[0]?.name ?? ''} compiled, as a node does; it was not asked for ${notAsked.join(' and ')}`,
        ]
      : [],
  );
}

/** Which architectures were emulated for single programs alone: their kernels, devices and time were this machine's. */
export function notBootedLines({ machines, failed }: Conformance): readonly string[] {
  // What failed is told with its reason.
  const booted = [...machines, ...failed].flatMap(({ architecture, tier }) =>
    tier === 'native' || tier === 'qemu-system' ? [architecture] : [],
  );
  const others = [...new Set(machines.map(({ architecture }) => architecture))].filter((one) => !booted.includes(one));
  return others.length === 0 ? [] : [`–  no machine of ${others.join(' and ')} was booted; --tier both boots one of each`];
}

/** What was not compared because it failed, and why. */
export function failedLines({ failed }: Conformance): readonly string[] {
  return failed.map(({ name, tier, error }) => `${name} (${tier}) was not compared: ${describeError(error)}`);
}

/** Which scenarios were not asked for. */
export function unplayedLines({ unplayed }: Conformance): readonly string[] {
  if (unplayed.length === 0) return [];
  return [
    `–  the simulator left out ${unplayed.length} scenarios of the catalogue, whose parts others have; --scenarios all plays them too`,
  ];
}

/** Why levels have no code for some modules, in the compiler's words. */
export function leftOutLines({ lines }: Played): readonly string[] {
  const reasons = new Map<string, { readonly levels: Set<string>; readonly modules: Set<string> }>();
  for (const line of lines) {
    if (line.kind !== 'artefact' || line.sha256 !== null) continue;
    // What stands before the last colon says where it is in the module.
    const why = line.said.slice(line.said.lastIndexOf(': ') + 2).replace(/ \(at offset \w+\)$/, '');
    const known = reasons.get(why) ?? { levels: new Set(), modules: new Set() };
    known.levels.add(line.level);
    known.modules.add(line.module);
    reasons.set(why, known);
  }
  return [...reasons].map(
    ([why, { levels, modules }]) =>
      `–  ${[...levels].join(' and ')} have no code for ${modules.size === 1 ? 'a module' : `${modules.size} modules`} (${[...modules][0]}${modules.size === 1 ? '' : ', …'}): ${why}`,
  );
}

/** Each with its place and both values, one above the other. */
export function differenceLines({ cells, machines }: Conformance): readonly string[] {
  const reference = machines[0]?.name ?? '';
  // Other settings explain what follows from them, so they come first.
  const all = cells
    .flatMap((cell) => cell.differences.map((difference) => ({ machine: cell.machine, difference })))
    .toSorted((a, b) => Number(b.difference.quantity === PROFILE) - Number(a.difference.quantity === PROFILE));
  const told = all
    .filter(({ machine, difference: { group } }, i) => {
      const earlier = all.slice(0, i).filter((one) => one.machine === machine && one.difference.group === group);
      return earlier.length < OF_A_GROUP_TOLD_MAX;
    })
    .slice(0, DIFFERENCES_TOLD_MAX);
  const lines = told.flatMap(({ machine, difference }) => {
    const [expected, got] = sideBySide(difference);
    const width = Math.max(reference.length, machine.length);
    return [
      `${placeOf(difference)}: ${difference.quantity} differs on ${machine}`,
      `    ${reference.padEnd(width)}  ${expected}`,
      `    ${machine.padEnd(width)}  ${got}`,
    ];
  });
  return all.length > told.length ? [...lines, `… and ${all.length - told.length} more`] : lines;
}

export function placeOf({ group, module, level, case: name }: Difference): string {
  return [group, module, name, level].filter((part) => part !== '').join(' / ');
}

/** A suite for each machine, a case for each cell. */
export function junitLines({ cells, machines, failed, unplayed, wallMs }: Conformance): readonly string[] {
  const broken = cells.filter(({ differences }) => differences.length > 0).length;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="wasmmatrix arch" tests="${cells.length + failed.length + machines.reduce((total, { notAsked }) => total + notAsked.length, 0)}" failures="${broken}" errors="${failed.length}" time="${(wallMs / 1_000).toFixed(3)}">`,
  ];
  for (const { name, tier, notAsked } of machines) {
    const mine = cells.filter((cell) => cell.machine === name);
    const differing = mine.filter(({ differences }) => differences.length > 0).length;
    lines.push(`  <testsuite name="${escape(`${name} (${tier})`)}" tests="${mine.length + notAsked.length}" failures="${differing}">`);
    if (unplayed.length > 0 && mine.some(({ group }) => group === 'simulator'))
      lines.push(`    <properties><property name="scenarios left out" value="${escape(unplayed.join(' '))}"/></properties>`);
    for (const group of notAsked)
      lines.push(`    <testcase classname="${escape(name)}" name="${group}"><skipped message="not asked of this tier"/></testcase>`);
    for (const cell of mine) {
      const open = `    <testcase classname="${escape(name)}" name="${escape([cell.group, cell.level].filter((part) => part !== '').join(' at '))}"`;
      const [first] = cell.differences;
      if (first === undefined)
        lines.push(
          cell.compared === 0 && cell.leftOut > 0 ? `${open}><skipped message="no code for this level"/></testcase>` : `${open}/>`,
        );
      else {
        const text = cell.differences.map((one) => `${placeOf(one)}: ${one.quantity}\n${sideBySide(one).join('\n')}`).join('\n');
        lines.push(
          `${open}>`,
          `      <failure message="${escape(`${cell.differences.length} of ${cell.compared} differ`)}">${escape(text)}</failure>`,
          '    </testcase>',
        );
      }
    }
    lines.push('  </testsuite>');
  }
  for (const { name, tier, error } of failed) {
    lines.push(
      `  <testsuite name="${escape(`${name} (${tier})`)}" tests="1" failures="0" errors="1">`,
      `    <testcase classname="${escape(name)}" name="played"><error message="${escape(error.code)}">${escape(describeError(error))}</error></testcase>`,
      '  </testsuite>',
    );
  }
  return [...lines, '</testsuites>', ''];
}

function shown(cells: readonly Cell[]): string {
  if (cells.length === 0) return '';
  const sum = (of: (cell: Cell) => number): number => cells.reduce((total, cell) => total + of(cell), 0);
  const [compared, leftOut, differ] = [sum((cell) => cell.compared), sum((cell) => cell.leftOut), sum((cell) => cell.differences.length)];
  if (differ > 0) return `${differ} DIFFER`;
  return compared === 0 && leftOut > 0 ? '–' : leftOut > 0 ? `${compared} (–${leftOut})` : String(compared);
}

/** Text of XML: what may not stand in it is replaced. */
function escape(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // oxlint-disable-next-line no-control-regex -- these are what XML 1.0 forbids
      .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F]/g, '\uFFFD')
  );
}
