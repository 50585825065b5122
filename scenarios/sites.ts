// Public lists of sites of a mobile network become a fleet: a zone, a cell and a node for each site that is taken, and the controller
// at the first. Pure: reading files is for the caller.
import { failed, ok, type Outcome } from '../system/domain/outcome.ts';
import { writeDistance } from './units.ts';

export type SitesOptions = {
  /** Of this many sites one is taken, in the order of the file. */
  readonly every: number;
  readonly reachMetres: number;
  /** A law of the language: one-way delay beside a mast. */
  readonly latency: string;
};

const COLUMNS = ['SITE_ID', 'LATITUDE', 'LONGITUDE'] as const;

/** Comma separated, with names of columns in the first line, as the Edge User Allocation data set has them. */
export function fleetOfSites(text: string, { every, reachMetres, latency }: SitesOptions): Outcome<string> {
  const [head, ...lines] = text.trim().split(/\r?\n/);
  const names = (head ?? '').split(',').map((name) => name.trim());
  const columns = COLUMNS.map((name) => names.indexOf(name));
  if (columns.includes(-1)) return refused(`The file has the columns ${names.join(', ')}, and none is ${COLUMNS[columns.indexOf(-1)]}.`);
  const sites: { readonly name: string; readonly location: string }[] = [];
  for (const [i, line] of lines.entries()) {
    if (i % every !== 0) continue;
    const cells = line.split(',');
    const [id = '', latitude = '', longitude = ''] = columns.map((column) => (cells[column] ?? '').trim());
    if (!/^[a-z0-9-]{1,40}$/i.test(id) || !isDegrees(latitude, 90) || !isDegrees(longitude, 180))
      return refused(`Line ${i + 2} has no site with a place on Earth: '${line.slice(0, 80)}'.`);
    sites.push({ name: `site-${id.toLowerCase()}`, location: `[${Number(latitude)}, ${Number(longitude)}]` });
  }
  const [first] = sites;
  if (first === undefined) return refused('The file has no sites.');
  return ok(
    [
      '# Made of a public list of sites. Vehicles are not in it: add them beside `use`.',
      `controller: { zone: edge/${first.name} }`,
      'zones:',
      ...sites.map(({ name, location }) => `  - { zone: edge/${name}, location: ${location} }`),
      'cells:',
      ...sites.map(({ name }) => `  - { cell: ${name}, zone: edge/${name}, reach: ${writeDistance(reachMetres)}, latency: ${latency} }`),
      'nodes:',
      ...sites.map(({ name }) => `  - { node: ${name}, zone: edge/${name} }`),
      '',
    ].join('\n'),
  );
}

function isDegrees(text: string, most: number): boolean {
  return /^-?\d+(\.\d+)?$/.test(text) && Math.abs(Number(text)) <= most;
}

function refused(message: string): Outcome<string> {
  return failed('WM_ARGUMENT', { message, next: 'Give a comma separated file with SITE_ID, LATITUDE and LONGITUDE.' });
}
