// Settings: flags over environment over file over defaults, and a sentence for whatever cannot be used.
import { describe, expect, it } from 'vitest';
import { AGENT_SETTINGS, CONTROLLER_SETTINGS, flagOf, resolveSettings, variableOf } from '../../../hardware/process/process.ts';
import { Source } from '../../../scenarios/mistakes.ts';

const KIND = { code: 'WM_SETTINGS_INVALID', next: 'Correct it.' } as const;

function resolve(
  given: { flags?: Record<string, string>; environment?: Record<string, string>; file?: string },
  table = CONTROLLER_SETTINGS,
) {
  return resolveSettings(table, {
    flags: given.flags ?? {},
    environment: given.environment ?? {},
    file: given.file === undefined ? null : new Source('controller.yaml', given.file, KIND),
    folder: '/here',
    fileFolder: '/etc/wasmmatrix',
  });
}

function valuesOf(...given: Parameters<typeof resolve>) {
  const resolved = resolve(...given);
  if (!resolved.ok) throw new Error(resolved.error.message);
  return resolved.value;
}

function refusalOf(...given: Parameters<typeof resolve>): string {
  const resolved = resolve(...given);
  if (resolved.ok) throw new Error('it was accepted');
  return `${resolved.error.code} ${resolved.error.message} ${resolved.error.next}`;
}

describe('settings', () => {
  it('come from flags before the environment, the environment before the file, the file before the defaults', () => {
    const file = 'listen: 127.0.0.1:1\nheartbeat: 200ms\nqueue: 5\nlog: { level: debug }\n';
    const environment = { WASMMATRIX_LISTEN: '127.0.0.1:2', WASMMATRIX_QUEUE: '6' };
    const { values, from } = valuesOf({ flags: { listen: '127.0.0.1:3' }, environment, file });
    expect([values['listen'], values['queue'], values['heartbeat'], values['log.level'], values['lease']]).toEqual([
      '127.0.0.1:3',
      6,
      200,
      'debug',
      2_500,
    ]);
    expect([from['listen'], from['queue'], from['heartbeat'], from['lease']]).toEqual([
      '--listen',
      'WASMMATRIX_QUEUE',
      'controller.yaml',
      'default',
    ]);
  });

  it('are paths of the place that names them', () => {
    expect(valuesOf({ file: 'data: store' }).values['data']).toBe('/etc/wasmmatrix/store');
    expect(valuesOf({ environment: { WASMMATRIX_DATA: 'store' } }).values['data']).toBe('/here/store');
  });

  it('read sizes, lists and points in the words of a user, from a file and from flags', () => {
    const file = 'memory: 512MiB\nhardware: [can, gpu]\nlocation: [52.23, 21.01]\n';
    const fromFile = valuesOf({ file }, AGENT_SETTINGS).values;
    const fromFlags = valuesOf({ flags: { memory: '512MiB', hardware: 'can, gpu', location: '52.23,21.01' } }, AGENT_SETTINGS).values;
    for (const values of [fromFile, fromFlags])
      expect([values['memory'], values['hardware'], values['location']]).toEqual([512 * 1_024 * 1_024, ['can', 'gpu'], [52.23, 21.01]]);
  });

  it.each([
    [
      'a setting that does not exist, with its line',
      { file: 'listen: 127.0.0.1:1\nheartbeet: 1s\n' },
      /controller\.yaml:2:1 .*unknown setting 'heartbeet'; did you mean 'heartbeat'\?/,
    ],
    ['a value of another kind, with its line', { file: 'heartbeat: fast\n' }, /controller\.yaml:1:12 .*found "fast", expected a duration/],
    ['a level where a value belongs', { file: 'listen: { port: 1 }\n' }, /expected an address/],
    ['a list of settings', { file: '- listen\n' }, /expected settings, one a line/],
    ['a wrong flag', { flags: { queue: 'many' } }, /WM_ARGUMENT --queue has 'many'; expected a whole number from 1 to/],
    ['a wrong variable', { environment: { WASMMATRIX_LOG_LEVEL: 'loud' } }, /WASMMATRIX_LOG_LEVEL has 'loud'; expected one of debug, info/],
    ['a variable that is no setting', { environment: { WASMMATRIX_LISTN: 'x' } }, /WASMMATRIX_LISTN, which is no setting/],
    ['an address without a port', { flags: { listen: 'localhost' } }, /--listen has 'localhost'; expected an address such as/],
    ['a port that there is not', { flags: { listen: '127.0.0.1:70000' } }, /expected an address/],
  ])('refuse %s', (_what, given, message) => {
    expect(refusalOf(given)).toMatch(message);
  });

  it('tell all mistakes of a file at once', () => {
    const refusal = refusalOf({ file: 'a: 1\nheartbeat: 2\nqueue: none\n' });
    expect(refusal).toMatch(/3 mistakes/);
  });

  it('never show a secret', () => {
    expect(refusalOf({ file: 'join: [[hush-hush]]' }, AGENT_SETTINGS)).not.toMatch(/hush/);
  });

  it('leave variables alone that a cluster sets for a service of our name', () => {
    expect(resolve({ environment: { WASMMATRIX_CONTROLLER_SERVICE_HOST: 'x', WASMMATRIX_PORT_7420_TCP: 'y' } }).ok).toBe(true);
  });

  it('are named alike everywhere', () => {
    expect([variableOf('log.level'), flagOf('log.level'), variableOf('faultDomain'), flagOf('faultDomain')]).toEqual([
      'WASMMATRIX_LOG_LEVEL',
      '--log-level',
      'WASMMATRIX_FAULT_DOMAIN',
      '--fault-domain',
    ]);
  });
});
