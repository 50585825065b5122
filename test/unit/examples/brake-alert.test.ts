import { beforeAll, describe, expect, it } from 'vitest';
import { DENIED, loadGuest, MemoryHost, runGuest } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

describe('the example brake-alert', () => {
  let brakeAlert: GuestModule;
  beforeAll(async () => {
    brakeAlert = await loadGuest('brake-alert');
  }, 60_000);

  function read(data: string, id = 'event-7') {
    const host = new MemoryHost();
    return { ...runGuest(brakeAlert, { id, data }, host), published: host.published };
  }

  it('publishes an alert that names its event and repeats the reading as it was written', () => {
    const run = read('{"v": 22.50, "a": -7.25e0, "id": "car 7 \\"red\\""}');
    expect(run).toMatchObject({ exitCode: 0, stdout: '{"alert":true,"id":"car 7 \\"red\\"","v":22.50,"a":-7.25e0}' });
    expect(run.published).toEqual([
      { subject: 'alerts.brake', payload: '{"event":"event-7","id":"car 7 \\"red\\"","v":22.50,"a":-7.25e0}' },
    ]);
  });

  it('escapes the name of the event', () => {
    const [alert] = read('{"v":1,"a":-9}', 'a"b\\c\n').published;
    expect(JSON.parse(alert?.payload ?? '')).toEqual({ event: 'a"b\\c\n', id: null, v: 1, a: -9 });
  });

  it.each([
    ['-6', false],
    ['-6.0', false],
    ['-6.0000000001', true],
    ['-5.999', false],
    ['-0.6e1', false],
    ['-0.61e+1', true],
    ['-61E-1', true],
    ['-600e-2', false],
    ['-60000000000000000000000e-22', false],
    ['-60000000000000000000001e-20', true],
    ['-1e999999999', true],
    ['-1e-999999999', false],
    ['-0e999', false],
    ['0', false],
    ['6.5', false],
    ['12', false],
  ])('with an acceleration of %s alerts: %s', (acceleration, isAlert) => {
    const run = read(`{"v": 10, "a": ${acceleration}, "id": 1}`);
    expect({ exitCode: run.exitCode, isAlert: run.stdout.startsWith('{"alert":true') }).toEqual({ exitCode: 0, isAlert });
    expect(run.published).toHaveLength(isAlert ? 1 : 0);
  });

  it('finds its members in any order and skips others', () => {
    const run = read('\r\n{"x":[1,{"a":[]},"}"],"id":null,"a":-8,"t":true,"f":false,"o":{},"v":3.5\t}\n');
    expect(run).toMatchObject({ exitCode: 0, stdout: '{"alert":true,"id":null,"v":3.5,"a":-8}' });
  });

  it('reads an event of many reads, up to a bound', () => {
    const reading = (bytes: number) => `{"note":"${'x'.repeat(bytes)}","v":1,"a":-9}`;
    expect(read(reading(300_000))).toMatchObject({ exitCode: 0, stdout: '{"alert":true,"id":null,"v":1,"a":-9}' });
    expect(read(reading(2 ** 20)).stderr).toContain('larger than this guest reads');
  });

  it.each([
    '',
    '[]',
    '{}',
    '{"v":1}',
    '{"a":-9}',
    '{"v":1,"a":"-9"}',
    '{"v":1,"a":-}',
    '{"v":1,"a":-9.}',
    '{"v":1,"a":-09}',
    '{"v":1,"a":-9e}',
    '{"v":1,"a":-9',
    '{"v":1,"a":-9} {}',
    '{"v":1,"a":-9,}',
    '{"v":1,"a":-9,"id":"open',
    '{"v":1,"a":-9,"id":tru}',
    `{"v":1,"a":-9,"id":${'['.repeat(30)}${']'.repeat(30)}}`,
  ])('fails on %s and publishes nothing', (data) => {
    const run = read(data);
    expect(run).toMatchObject({ exitCode: 1, trap: null, stdout: '', published: [] });
    expect(run.stderr).toContain('the reading is not');
  });

  it('fails when the alert is not accepted, so that the event is delivered again', () => {
    const run = runGuest(brakeAlert, { data: '{"v":1,"a":-9}' }, { publish: () => DENIED });
    expect(run).toMatchObject({ exitCode: 1, stdout: '', stderr: 'the alert was not accepted\n' });
  });
});
