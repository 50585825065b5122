// A fleet made of a public list of sites is one that loads, with a cell where each site is.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { fleetOfSites } from '../../../scenarios/sites.ts';
import { mustLoad } from '../../support/scenarios/files.ts';

const FILE = 'SITE_ID,LATITUDE,LONGITUDE,NAME\n1001,-37.81517,144.97476,Spring St\n1002,-37.81,144.97,Other\n1003,-37.82,144.95,Third\n';
const OPTIONS = { every: 2, reachMetres: 400, latency: '8ms' };
const EUA = 'shared/data/eua/site-optus-melbCBD.csv';
/** The Edge User Allocation data set, where some folder around this project has it; null where none has. */
const DATA_SET = around(dirname(fileURLToPath(import.meta.url)));
const SCENARIO = `question: Is it one?
requirements: [P1]
duration: 10s
fleet: sites
steps: [{ at: 1s, push: echo }]
goals: [{ happens: { record: node.status } }]
`;

function around(folder: string): string | null {
  const file = join(folder, EUA);
  if (existsSync(file)) return file;
  return dirname(folder) === folder ? null : around(dirname(folder));
}

function load(text: string) {
  const fleet = fleetOfSites(text, OPTIONS);
  if (!fleet.ok) throw new Error(fleet.error.message);
  return mustLoad(SCENARIO, (name) => ({ file: `${name}.yaml`, text: fleet.value })).fleet;
}

it('has a zone, a cell and a node for each site that it takes', () => {
  const { cells, nodes, controller } = load(FILE);
  expect(cells.map(({ cell, zone, location, reachMetres }) => [cell, zone, location.latitude, reachMetres])).toEqual([
    ['site-1001', 'edge/site-1001', -37.81517, 400],
    ['site-1003', 'edge/site-1003', -37.82, 400],
  ]);
  expect(nodes.map(({ node }) => node)).toEqual(['site-1001', 'site-1003']);
  expect(controller.zone).toBe('edge/site-1001');
});

// The data set is no part of the project: without it there is nothing to read.
it.skipIf(DATA_SET === null)('reads the sites of the Edge User Allocation data set', () => {
  const { cells } = load(readFileSync(DATA_SET ?? '', 'utf8'));
  expect(cells).toHaveLength(63);
  expect(cells.every(({ location }) => location.latitude < -37.8 && location.longitude > 144.9)).toBe(true);
});

it.each([
  ['a file without the columns', 'ID,LAT\n1,2\n', 'none is SITE_ID'],
  ['a site that is nowhere', 'SITE_ID,LATITUDE,LONGITUDE\n1,north,2\n', 'Line 2'],
  ['a file without sites', 'SITE_ID,LATITUDE,LONGITUDE\n', 'no sites'],
])('refuses %s', (_, text, message) => {
  const fleet = fleetOfSites(text, OPTIONS);
  expect(fleet.ok ? '' : fleet.error.message).toContain(message);
});
