// Wrong words, files and folders: refused before anything is started or sent, each with a sentence that a stranger understands.
import { chmodSync, copyFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createIdentityKey, Authority, saveIdentity } from '../../../hardware/network/network.ts';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { temporaryFolder, wasmmatrix, type Ended } from '../../support/e2e/command.ts';
import { expectRefusal } from '../../support/e2e/refusal.ts';
import { get } from '../../integration/storage/contents.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const LIFETIME_MS = 3_600_000;
const env = { XDG_DATA_HOME: folder.make('data'), XDG_CONFIG_HOME: folder.make('config'), WASMMATRIX_ADMIN: '127.0.0.1:0' };
const run = (...args: readonly string[]): Promise<Ended> => wasmmatrix(args, { env, cwd: folder.path });
const write = (name: string, text: string): string => {
  writeFileSync(join(folder.path, name), text, { mode: 0o600 });
  return name;
};

describe('a command line', () => {
  test.each([
    [['upp'], /Unknown command 'upp'.*\n.*Did you mean up/],
    [['up', '--lisen', 'x'], /Unknown option '--lisen'.*\n.*Did you mean --listen/],
    [['up', '--listen', 'here'], /--listen has 'here'; expected an address such as 127\.0\.0\.1:7420/],
    [['up', '--heartbeat', '5s'], /heartbeat.*5000/],
    [['get'], /Missing required argument 'kind'/],
    [['get', 'bananas'], /'bananas'.*nodes, modules, deployments/],
    [['scale', 'brake', 'many'], /replicas is 'many'; expected a whole number from 0 to 10000/],
    [['publish', 'a.*', 'x'], /'a\.\*' is no subject/],
    [['subscribe', 'a..b'], /'a\.\.b' is no filter/],
    [['delete', 'banana', 'x'], /'banana' cannot be deleted/],
    [['keys', 'create', 'A B'], /'A B' is no name of a key/],
    [['push', 'x.wasm'], /--sign <key>/],
    [['agent', '--name', 'a', '--join', 'secret'], /no join token: it does not begin with 'wm1\.'/],
    [['agent', '--name', 'a'], /has not joined.*no join token/],
    [['login', '--join', 'wm1.AAAA'], /no join token/],
    [['get', 'nodes'], /no context.*wasmmatrix up.*wasmmatrix login/],
  ] as const)('%j is refused', async (args, words) => {
    const ended = await run(...args);
    expect(ended.stderr).toMatch(words);
    expect(ended.code).toBe(2);
    expect(ended.stdout).toBe('');
  });
});

describe('a configuration file', () => {
  test('with settings that do not exist is refused with their lines', async () => {
    write('c.yaml', 'lisen: 127.0.0.1:1\nlog:\n  levl: info\n  format: xml\n');
    expectRefusal(
      await run('up', '--config', 'c.yaml'),
      'WM_SETTINGS_INVALID',
      "c.yaml:1:1  lisen: unknown setting 'lisen'; did you mean 'listen'?",
      /c\.yaml:3:3 {2}log\.levl.*did you mean 'log\.level'/,
      /c\.yaml:4:11.*expected one of auto, json, text/,
    );
  });

  test('that is not there, or no YAML, is refused', async () => {
    expectRefusal(await run('agent', '--config', 'nope.yaml'), 'WM_ARGUMENT', /nope\.yaml cannot be read \(there is none, ENOENT\)/);
    write('broken.yaml', 'listen: [1\n');
    expectRefusal(await run('up', '--config', 'broken.yaml'), 'WM_SETTINGS_INVALID', /broken\.yaml:\d+:\d+ {2}not valid YAML/);
  });

  test('a variable of the environment that is nearly a setting is refused', async () => {
    const ended = await wasmmatrix(['up'], { env: { ...env, WASMMATRIX_LISTE: '127.0.0.1:1' } });
    expectRefusal(ended, 'WM_ARGUMENT', /WASMMATRIX_LISTE, which is no setting.*WASMMATRIX_LISTEN/);
  });
});

describe('a manifest', () => {
  test('with fields that do not exist is refused with their lines, and nothing is sent', async () => {
    write('m.yaml', '- deploy: brake\n  origin: local\n  replcas: 2\n- trigger: brake\n  onn: x\n');
    expectRefusal(
      await run('apply', 'm.yaml'),
      'WM_DEPLOYMENT_INVALID',
      "m.yaml:3:3  [0].replcas: unknown field 'replcas'; did you mean 'replicas'?",
      "m.yaml:4:3  [1]: 'on' is missing",
      "m.yaml:5:3  [1].onn: unknown field 'onn'; did you mean 'on'?",
    );
  });

  test('that is a folder is refused', async () => {
    expectRefusal(await run('plan', folder.make('folder')), 'WM_ARGUMENT', /folder cannot be read \(it is a folder, EISDIR\)/);
  });
});

describe('a context', () => {
  const made = (async () => {
    const keys = new FileKeys(folder.make('authority'));
    const authority = async (now: number) => get(await Authority.open({ keys, keyName: 'authority', civilMs: () => now }));
    const context = async (file: string, bornMs: number): Promise<string> => {
      const own = createIdentityKey();
      const issuer = await authority(bornMs);
      const issued = get(await issuer.issue({ name: 'operator/ops', publicKey: own.publicKey, lifetimeMs: LIFETIME_MS }));
      const path = join(folder.path, file);
      get(
        await saveIdentity(path, {
          name: 'operator/ops',
          identity: { certificate: issued.certificate, privateKey: own.privateKey, authorities: [issuer.certificate] },
          addresses: ['127.0.0.1:1'],
          notAfterMs: bornMs + LIFETIME_MS,
          renewAtMs: bornMs + LIFETIME_MS,
          bus: null,
        }),
      );
      return path;
    };
    return { good: await context('good.json', Date.now()), old: await context('old.json', Date.now() - 2 * LIFETIME_MS) };
  })();

  test('whose certificate has expired is refused, with the time and the way back', async () => {
    const { old } = await made;
    expectRefusal(
      await run('get', 'nodes', '--context', old),
      'WM_CERTIFICATE_REFUSED',
      /certificate of operator\/ops in .*old\.json expired on 20\d\d-/,
      /wasmmatrix login --join/,
    );
  });

  test('that others may read is refused, and how to give it back', async () => {
    const { good } = await made;
    const path = join(folder.path, 'open.json');
    copyFileSync(good, path);
    chmodSync(path, 0o644);
    expectRefusal(
      await run('get', 'nodes', '--context', path),
      'WM_KEY_UNUSABLE',
      /others than its owner may use it \(mode 644\)/,
      /chmod 600/,
    );
  });

  test('that is damaged, or not there, is refused', async () => {
    const { good } = await made;
    const path = join(folder.path, 'cut.json');
    copyFileSync(good, path);
    chmodSync(path, 0o600);
    truncateSync(path, 300);
    const ended = await run('get', 'nodes', '--context', path);
    expectRefusal(ended, 'WM_KEY_UNUSABLE', /cut\.json: it is damaged/, /join again/);
    expect(ended.stderr).not.toContain('chmod');
    expectRefusal(await run('get', 'nodes', '--context', 'nope.json'), 'WM_ARGUMENT', /no context.*nope\.json/);
  });

  test('of a controller that is away: says that it waits and for whom, and gives up with a sentence', async () => {
    const { good } = await made;
    const ended = await run('get', 'nodes', '--context', good, '--wait', '6');
    expect(ended.stderr).toMatch(/^Waiting for the controller: .*127\.0\.0\.1:1/m);
    expectRefusal(ended, 'WM_UNREACHABLE', /127\.0\.0\.1:1/);
    expectRefusal(await run('publish', 'a.b', 'x', '--context', good, '--wait', '2'), 'WM_UNREACHABLE', /127\.0\.0\.1:1/);
  });
});
