// Matrices of measured round trips become a fleet: a zone and a node for each chosen site, and between each two a law of half of
// their round trips. Several matrices are the same sites at several times. Pure: reading files is for the caller.
import { ok, rejected, type Outcome } from '../system/domain/outcome.ts';
import { writeDuration } from './units.ts';

/** Bound of the schema: delays of one law. The first ones are taken. */
const DELAYS_MAX = 1_000;

export type MatrixOptions = {
  /** Microseconds of one unit of the matrices. */
  readonly unitMicros: number;
  /** Rows of the matrices, from 0. The controller is at the first. */
  readonly sites: readonly number[];
};

/** Texts of square matrices with a number in each cell, tabs between them; what is no number of 0 or more is not measured. */
export function fleetOfMatrices(texts: readonly string[], { unitMicros, sites }: MatrixOptions): Outcome<string> {
  const matrices = texts.map((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => line.trim().split('\t').map(Number)),
  );
  for (const [i, matrix] of matrices.entries()) {
    const odd = matrix.findIndex((row) => row.length !== matrix.length);
    if (odd >= 0)
      return refused(`Matrix ${i + 1} is not square: it has ${matrix.length} rows, and row ${odd} has ${matrix[odd]?.length} cells.`);
    const beyond = sites.find((site) => site >= matrix.length);
    if (beyond !== undefined) return refused(`Matrix ${i + 1} has ${matrix.length} rows and no row ${beyond}.`);
  }
  const links: string[] = [];
  for (const [i, a] of sites.entries()) {
    for (const b of sites.slice(i + 1)) {
      const halves = matrices
        .flatMap((matrix) => [matrix[a]?.[b], matrix[b]?.[a]])
        .filter((cell): cell is number => cell !== undefined && cell >= 0);
      if (halves.length === 0) return refused(`Nothing was measured between the sites ${a} and ${b}.`);
      const delays = halves.slice(0, DELAYS_MAX).map((cell) => writeDuration(Math.max(1, Math.round((cell * unitMicros) / 2))));
      links.push(`  - { between: [site/s${a}, site/s${b}], latency: { empirical: [${delays.join(', ')}] } }`);
    }
  }
  return ok(
    [
      '# Made of measured round trips. The sites have no known location: only their delays tell them apart.',
      `controller: { zone: site/s${sites[0]} }`,
      'zones:',
      ...sites.map((site) => `  - { zone: site/s${site}, location: [0, 0] }`),
      ...(links.length === 0 ? [] : ['links:', ...links]),
      'nodes:',
      ...sites.map((site) => `  - { node: s${site}, zone: site/s${site} }`),
      '',
    ].join('\n'),
  );
}

function refused(message: string): Outcome<string> {
  return rejected('WM_ARGUMENT', { message, next: 'Give square matrices, and rows that they have.' });
}
