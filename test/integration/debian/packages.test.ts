// Which packages are taken, and when Debian is asked at all. In apt's place stands a program that keeps an archive in a file, and that,
// as apt does, refuses a folder in which another apt is at work.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mirrorOf } from '../../../hardware/debian/apt.ts';
import { makeFolder, sweepParts } from '../../../hardware/debian/make.ts';
import { fetchPackages, knownSets } from '../../../hardware/debian/packages.ts';
import type { LockedSet, PackageOptions } from '../../../hardware/debian/set.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';

const STAND_IN = `#!${process.execPath}
const { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { createHash } = require('node:crypto');
const home = process.env.STAND_IN;
const [verb, ...rest] = process.argv.slice(2);
const fail = (text) => { process.stderr.write(text + '\\n'); process.exit(100); };
if (verb === '--version') process.exit(0);
if (verb === 'indextargets') { console.log('Debian\\tDebian\\tmain\\thttp://mirror/debian/'); process.exit(0); }
appendFileSync(home + '/calls', verb + '\\n');
const settings = readFileSync(process.env.APT_CONFIG, 'utf8');
const folder = /Dir::State "(.*)"/.exec(settings)?.[1];
if (folder === undefined) fail('E: this is the apt of the machine');
const [, suite] = / (\\w+) main$/m.exec(readFileSync(folder + '/sources.list', 'utf8'));
const { error, files } = JSON.parse(readFileSync(home + '/archive.json', 'utf8'))[suite];
const lines = () => files.map(([name, text]) => "'http://mirror/" + name + "' " + name + ' ' + text.length + ' SHA256:' + createHash('sha256').update(text).digest('hex')).join('\\n');
if (verb === 'update') {
  try { writeFileSync(folder + '/busy', '', { flag: 'wx' }); } catch { fail('E: Could not get lock ' + folder + '/lists/lock.'); }
  setTimeout(() => { rmSync(folder + '/busy'); if (error) fail(error); }, 200);
} else if (rest[0] === '--print-uris') console.log(lines());
else for (const [name, text] of files) writeFileSync(name, text);
`;

const folder = temporaryFolder();
const path = process.env['PATH'];
const SET = {
  name: 'tool',
  architecture: 'amd64',
  suites: ['sid', 'forky'].map((suite) => ({ suite, packages: ['tool'] })),
  closure: false,
} as const;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const CAN = existsSync(KEYRING) && ['flock', 'dpkg-deb'].every((tool) => existsSync(join('/usr/bin', tool)));

let cache = '';
let said: string[] = [];
let count = 0;

const lockFor = (text: string): LockedSet => ({
  suite: 'sid',
  packages: [{ file: 'tool_1_amd64.deb', sha256: createHash('sha256').update(text).digest('hex') }],
});
const options = (more: Partial<PackageOptions> = {}): PackageOptions => ({
  cache,
  say: (line) => said.push(line),
  lock: { tool: lockFor('as locked') },
  ...more,
});
const archive = (suites: Readonly<Record<string, { readonly error?: string; readonly text?: string }>>): void => {
  const of = ([suite, { error, text = `of ${suite}` }]: (typeof entries)[number]) =>
    [suite, { error, files: [['tool_1_amd64.deb', text]] }] as const;
  const entries = Object.entries(suites);
  writeFileSync(join(cache, '..', 'archive.json'), JSON.stringify(Object.fromEntries(entries.map(of))));
};
const calls = (): string => (existsSync(join(cache, '..', 'calls')) ? readFileSync(join(cache, '..', 'calls'), 'utf8') : '');

beforeAll(() => {
  const bin = join(folder.path, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'apt-get'), STAND_IN);
  chmodSync(join(bin, 'apt-get'), 0o755);
  process.env['PATH'] = `${bin}:${path ?? ''}`;
});

beforeEach(() => {
  count += 1;
  cache = join(folder.path, String(count), 'cache');
  mkdirSync(cache, { recursive: true });
  process.env['STAND_IN'] = join(cache, '..');
  said = [];
});

afterAll(() => {
  process.env['PATH'] = path ?? '';
  delete process.env['STAND_IN'];
  folder.remove();
});

// Left out where packages cannot be had at all.
describe.skipIf(!CAN)('a set of packages (left out without dpkg-deb, flock and the keyring of Debian)', () => {
  it('is fetched once for those who want it at once, all of them from the first suite', async () => {
    archive({ sid: {}, forky: {} });
    const fetched = await Promise.all([fetchPackages(SET, options()), fetchPackages(SET, options()), fetchPackages(SET, options())]);
    expect(fetched.map((one) => (one.ok ? one.value.suite : one.error.message))).toEqual(['sid', 'sid', 'sid']);
    expect(calls()).toBe('update\ndownload\ndownload\n');
  });

  it('waits for another process that fetches it', async () => {
    archive({ sid: {}, forky: {} });
    mkdirSync(join(cache, 'packages/.turns'), { recursive: true });
    const other = spawn('flock', [join(cache, 'packages/.turns/tool'), 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    other.stdin.write('.');
    await once(other.stdout, 'data');
    const fetching = fetchPackages(SET, options());
    await expect.poll(() => said, { timeout: 30_000 }).toEqual(['Waiting for another that fetches tool']);
    expect(calls()).toBe('');
    other.stdin.end();
    expect((await fetching).ok).toBe(true);
  });

  it('is not asked for again once Debian has moved on, until what is new is asked for', async () => {
    archive({ sid: { text: 'newer' }, forky: {} });
    const first = await fetchPackages(SET, options());
    expect(said.at(-2)).toContain('Debian has moved on since the lock: 1 of 1 packages of tool are others');
    const before = calls();
    archive({ sid: { error: 'E: Could not resolve the mirror', text: 'newest' }, forky: {} });
    expect(await fetchPackages(SET, options())).toEqual(first);
    expect(calls()).toBe(before);
    archive({ sid: { text: 'newest' }, forky: {} });
    const renewed = await fetchPackages(SET, options({ renew: true }));
    expect(renewed.ok && first.ok && renewed.value.key !== first.value.key).toBe(true);
    // What was made of it is known by its name when the packages themselves are gone.
    rmSync(join(cache, 'packages'), { recursive: true });
    expect(knownSets(SET, options()).map(({ key }) => key)).toContain(renewed.ok ? renewed.value.key : '');
  });

  it('is asked for anew under another lock, whose packages are the ones that were tried', async () => {
    archive({ sid: { text: 'newer' }, forky: {} });
    await fetchPackages(SET, options());
    archive({ sid: { text: 'of the new lock' }, forky: {} });
    const lock = { tool: lockFor('of the new lock') };
    await fetchPackages(SET, options({ lock }));
    expect(readFileSync(join(cache, 'packages/tool_1_amd64.deb'), 'utf8')).toBe('of the new lock');
  });

  it.each([
    ['E: Failed to fetch http://mirror/x  Hash Sum mismatch', 'forky'],
    ['E: Unable to locate package tool', 'forky'],
    ['E: The following packages have unmet dependencies', 'forky'],
    ["E: Failed to fetch http://mirror/x  Could not resolve 'mirror'", null],
    ['E: Could not get lock /lists/lock. It is held by process 12', null],
    ['E: Write error - write (28: No space left on device)', null],
  ])('comes of another suite only when its own is broken: %s', async (error, suite) => {
    archive({ sid: { error }, forky: {} });
    const fetched = await fetchPackages(SET, options());
    expect(fetched.ok ? fetched.value.suite : fetched.error.code).toBe(suite ?? 'WM_PACKAGES');
    expect(calls().split('update').length - 1).toBe(suite === null ? 1 : 2);
  });

  it('that cannot be kept is an error that says so', async () => {
    rmSync(cache, { recursive: true });
    writeFileSync(cache, '');
    const fetched = await fetchPackages(SET, options());
    expect(fetched.ok ? null : fetched.error.message).toContain('The packages of tool could not be kept: ');
  });
});

// Left out where there is no lock of the system.
describe.skipIf(!CAN)('a folder (left out without flock)', () => {
  it('is made once for those who want it at once, and an error of one does not end the next', async () => {
    const place = join(cache, 'made');
    const made: string[] = [];
    const make = (name: string) =>
      makeFolder(place, {}, (part) => {
        made.push(name);
        if (name === 'broken') return Promise.reject(new Error('no room'));
        writeFileSync(join(part, 'file'), name);
        return Promise.resolve();
      });
    const all = await Promise.all([make('broken'), make('first'), make('second')]);
    expect(all.map((one) => (one.ok ? 'ok' : one.error.message))).toEqual([`${place} could not be made: no room.`, 'ok', 'ok']);
    expect(made).toEqual(['broken', 'first']);
    expect(readdirSync(cache).sort()).toEqual(['.turns', 'made']);
  });
});

it('half-made things go when their process has ended and they are old, and no others', () => {
  const gone = 2 ** 22 + 1;
  const [ours, theirs, nobodys] = [`a.part-${process.pid}-b5c0`, `part-${gone}-b5c0`, 'f.part-b5c0'];
  for (const name of [ours, theirs, nobodys, 'counterpart']) mkdirSync(join(cache, name));
  // What was unpacked there gave it a time of its own.
  const packed = new Date(Date.now() - 60 * 24 * 3_600_000);
  utimesSync(join(cache, ours), packed, packed);
  utimesSync(join(cache, theirs), packed, packed);
  const left = (hours: number): readonly string[] => {
    sweepParts(cache, Date.now() + hours * 3_600_000);
    return readdirSync(cache).sort();
  };
  expect(left(0)).toEqual([ours, 'counterpart', nobodys, theirs]);
  expect(left(2)).toEqual([ours, 'counterpart', nobodys]);
  expect(left(25)).toEqual(['counterpart']);
});

it.each([
  ['http://mirror/debian/', ['Debian\tDebian-Security\tmain\thttp://security/', 'Debian\tDebian\tmain\thttp://mirror/debian/']],
  ['mirror+file:/etc/apt/mirrors/debian.list', ['Debian\tDebian\tmain\tmirror+file:/etc/apt/mirrors/debian.list']],
  ['http://proxy:3142/remote-deb/', ['Debian\tDebian\tcontrib\thttp://other/', 'Debian\tDebian\tmain\thttp://proxy:3142/remote-deb/']],
  [null, ['Ubuntu\tUbuntu\tmain\thttp://mirror/debian/', 'Debian\tDebian Backports\tmain\thttp://mirror/debian/', '']],
])('Debian is had from where its main calls itself so: %s', (address, targets) => {
  expect(mirrorOf(targets)).toBe(address);
});
