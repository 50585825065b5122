// The tools of those who will read these files read them: promtool and systemd-analyze.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureNatsServer } from '../../support/nats/build.ts';
import { DEPLOY, deployFiles } from '../../support/deploy/files.ts';

const PROMTOOL = 'promtool';
const SYSTEMD_ANALYZE = 'systemd-analyze';
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const HAS_PROMTOOL = has(PROMTOOL);
const HAS_SYSTEMD = has(SYSTEMD_ANALYZE);
const NATS_SERVER = await ensureNatsServer();
const UNITS = deployFiles().filter((name) => name.endsWith('.service'));
/** From 0 (can do nothing) to 10; a service without any restriction has 9.6. */
const EXPOSURE_MAX = 2;

if (!HAS_PROMTOOL)
  process.stderr.write(
    'LEFT OUT: no promtool on this machine, so alerts and scrape configuration are not tried. Install the package prometheus.\n',
  );
if (!HAS_SYSTEMD) process.stderr.write('LEFT OUT: no systemd-analyze on this machine, so the units are not looked at.\n');

const run = (program: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? 'ok' : `${status}: ${stdout}${stderr}`;
};

// Reason: a machine without promtool cannot ask it; CI installs one.
describe.skipIf(!HAS_PROMTOOL)('promtool', () => {
  it('takes the alert rules, and sees each fire and stay quiet', () => {
    expect(run(PROMTOOL, 'check', 'rules', join(DEPLOY, 'prometheus', 'alerts.yml'))).toBe('ok');
    expect(run(PROMTOOL, 'test', 'rules', join(DEPLOY, 'prometheus', 'alerts.test.yml'))).toBe('ok');
  });

  it('takes the scrape configurations, with the rules beside them', () => {
    expect(run(PROMTOOL, 'check', 'config', join(DEPLOY, 'prometheus', 'prometheus.yml'))).toBe('ok');
    const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-prometheus-'));
    for (const name of ['compose/prometheus.yml', 'prometheus/alerts.yml']) cpSync(join(DEPLOY, name), join(folder, basename(name)));
    const checked = run(PROMTOOL, 'check', 'config', join(folder, 'prometheus.yml'));
    rmSync(folder, { recursive: true });
    expect(checked).toBe('ok');
  });
});

// Reason: where there is neither a nats-server nor Go to build one, nobody can read its configuration; CI installs Go.
describe.skipIf('missing' in NATS_SERVER)('nats-server', () => {
  it('takes the configuration of the compose file', () => {
    expect(run('path' in NATS_SERVER ? NATS_SERVER.path : '', '-t', '-c', join(DEPLOY, 'compose', 'nats.conf'))).toBe('ok');
  });
});

// Reason: a machine without systemd has no tool that knows its units.
describe.skipIf(!HAS_SYSTEMD)('systemd-analyze', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-units-'));
    // It wants to see the program of a unit: an installation stands where this machine has room for one.
    const installed = join(folder, 'installed');
    mkdirSync(join(installed, 'node_modules', '.bin'), { recursive: true });
    const program = join(installed, 'node_modules', '.bin', 'node');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
    for (const unit of UNITS)
      writeFileSync(join(folder, basename(unit)), readFileSync(join(DEPLOY, unit), 'utf8').replaceAll('/opt/wasmmatrix', installed));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(UNITS)('finds nothing to say against %s', (unit) => {
    const { status, stderr } = spawnSync(SYSTEMD_ANALYZE, ['verify', '--man=no', join(folder, basename(unit))], { encoding: 'utf8' });
    const said = stderr.split('\n').filter((line) => line.includes(dirname(unit)) || line.includes(basename(unit)));
    expect([status, said]).toEqual([0, []]);
  });

  it.each(UNITS)('finds that %s can do little', (unit) => {
    expect(run(SYSTEMD_ANALYZE, 'security', '--offline=true', `--threshold=${EXPOSURE_MAX * 10}`, join(folder, basename(unit)))).toBe('ok');
  });
});
