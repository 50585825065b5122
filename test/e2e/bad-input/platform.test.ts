// What a running platform refuses: wrong tokens, revoked keys and certificates, modules and events that are too large, a second
// process on its folder or port.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import { start, temporaryFolder } from '../../support/e2e/command.ts';
import { eventually, Platform } from '../../support/e2e/platform.ts';
import { expectRefusal } from '../../support/e2e/refusal.ts';

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const inFolder = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  copyFileSync((await buildExamples()).get('echo')!.wasmPath, inFolder('echo.wasm'));
  await platform.up(['--heartbeat', '200ms', '--suspect', '1s', '--lease', '1500ms', '--unavailable', '2s']);
  await platform.ok('keys', 'create', 'ops');
  await platform.ok('keys', 'create', 'stranger');
  await platform.ok('trust', 'add', 'ops', '--grant', 'log');
});
afterAll(async () => {
  await platform.close();
  folder.remove();
});

describe('a join token', () => {
  test('that was mistyped or cut is told from a wrong one, before anything is dialled', async () => {
    const { joinToken } = platform.told;
    const mistyped = `${joinToken.slice(0, -1)}${joinToken.endsWith('A') ? 'B' : 'A'}`;
    expectRefusal(await platform.run('agent', '--name', 'x', '--join', mistyped), 'WM_ARGUMENT', /mistyped/, /Copy the whole line again/);
    expectRefusal(await platform.run('agent', '--name', 'x', '--join', joinToken.slice(0, 50)), 'WM_ARGUMENT', /cut off/);
  });

  test('of the other role is refused', async () => {
    expectRefusal(await platform.run('login', '--join', platform.told.joinToken), 'WM_ARGUMENT', /for a name node\//);
  });

  test('that was rotated is refused, and who can give the current one', async () => {
    const before = platform.told.joinToken;
    const now = (await platform.ok('token', 'rotate')).trim();
    const ended = await platform.run('agent', '--name', 'x', '--join', before);
    expectRefusal(ended, 'WM_NODE_REFUSED', /join token is none of this control plane/, /rotated/);
    expect(ended.stderr).not.toContain(before);
    platform.adoptToken(now);
  });
});

describe('a module', () => {
  const push = (file: string, ...more: readonly string[]) => platform.run('push', inFolder(file), '--sign', 'ops', ...more);

  test('that is none, or too large, is refused by name and size before it is sent', async () => {
    writeFileSync(inFolder('text.wasm'), 'hello');
    expectRefusal(await push('text.wasm'), 'WM_MODULE_INVALID', /text\.wasm is no WebAssembly module/);
    writeFileSync(inFolder('big.wasm'), Buffer.concat([readFileSync(inFolder('echo.wasm')), Buffer.alloc(4 * 1024 * 1024)]));
    expectRefusal(await push('big.wasm'), 'WM_MESSAGE_TOO_LARGE', /The module .*big\.wasm has 4\d{6} bytes; one may have \d+/);
    expectRefusal(await push('nope.wasm'), 'WM_ARGUMENT', /nope\.wasm cannot be read \(there is none, ENOENT\)/);
  });

  test('that asks for more than its key may grant, or is signed by a stranger, is refused', async () => {
    expectRefusal(await push('echo.wasm', '--capability', 'clock'), 'WM_CAPABILITY_NOT_GRANTABLE', /'clock'/, /Remove the capability/);
    expectRefusal(await push('echo.wasm', '--sign', 'stranger'), 'WM_SIGNER_UNTRUSTED', /not in the trust store/);
  });

  test('signed with a revoked key is refused', async () => {
    await platform.ok('push', inFolder('echo.wasm'), '--sign', 'ops');
    await platform.ok('trust', 'revoke', 'ops');
    expectRefusal(await push('echo.wasm'), 'WM_SIGNER_UNTRUSTED', /which was revoked/, /trusted key/);
    expectRefusal(await platform.run('trust', 'revoke', 'ed25519:00'), 'WM_NOT_FOUND', /ed25519:00/);
  });
});

test('an event that is too large is refused with both sizes', async () => {
  writeFileSync(inFolder('data'), Buffer.alloc(300_000));
  expectRefusal(await platform.run('publish', 'a.b', `@${inFolder('data')}`), 'WM_EVENT_INVALID', /300000 bytes.*262144/);
});

test('what does not exist is refused by its name', async () => {
  expectRefusal(await platform.run('scale', 'nope', '3'), 'WM_DEPLOYMENT_UNKNOWN', /'nope'/);
  expectRefusal(await platform.run('drain', 'nope'), 'WM_NODE_UNKNOWN', /'nope'/);
  expectRefusal(await platform.run('revoke', 'node/nope'), 'WM_NOT_FOUND', /node\/nope holds no certificate/);
  writeFileSync(inFolder('app.yaml'), '- { deploy: nope, origin: local }\n');
  expectRefusal(await platform.run('apply', inFolder('app.yaml')), 'WM_MODULE_UNKNOWN', /'nope'.*Push the module first/);
});

describe('a second process', () => {
  test('on the port, the admin port or the folder of another is refused, and names it', async () => {
    const { address, admin } = platform.told;
    const [port, adminPort, same] = await Promise.all([
      platform.run('up', '--listen', address, '--data', inFolder('second')),
      platform.run('up', '--listen', '127.0.0.1:0', '--admin', admin, '--data', inFolder('third')),
      platform.run('up', '--listen', '127.0.0.1:0'),
    ]);
    expectRefusal(port, 'WM_ARGUMENT', `${address}: port ${address.split(':')[1]} of 127.0.0.1 is in use`, /choose another port/);
    expectRefusal(adminPort, 'WM_ARGUMENT', `admin address ${admin} is in use`, /choose another port/);
    expectRefusal(same, 'WM_STORAGE_IN_USE', /Another process has .*controller/, /a folder of its own/);
  });

  test('under the name of a node that lives is refused', async () => {
    await platform.agent('one', ['--memory', '64MiB']);
    const other = await platform.run('agent', '--name', 'one', '--join', platform.told.joinToken, '--data', inFolder('other'));
    expectRefusal(other, 'WM_NODE_REFUSED', /node\/one is enrolled with another key/, /Choose another name, or revoke node\/one/);
  });
});

describe('a node', () => {
  test('whose certificate is revoked is put out, is told so, and can join anew when its identity is removed', async () => {
    const agent = platform.agentProcess('one');
    await platform.ok('revoke', 'node/one');
    await agent.said('The certificate of node/one was revoked');
    await eventually(
      () => platform.json<readonly { readonly status: string }[]>('get', 'nodes'),
      ([node]) => node?.status === 'unavailable',
      'the node is put out',
    );
    expect((await platform.kill(agent, 'SIGTERM')).code).toBe(0);
  });

  test('that starts while the controller is away says so, and is there when it is back', async () => {
    await platform.agent('two', ['--memory', '64MiB']);
    await platform.kill(platform.agentProcess('two'), 'SIGTERM');
    await platform.kill(platform.controllerProcess(), 'SIGKILL');
    await platform.agent('two', ['--memory', '64MiB']);
    await platform.agentProcess('two').said('Dialling the controller failed');
    expect(platform.agentProcess('two').stderr()).toContain(platform.told.address);
    await platform.up();
    await platform.agentProcess('two').said('"state":"connected"');
  });

  test('that joins while the controller is away is refused with a sentence', async () => {
    await platform.kill(platform.controllerProcess(), 'SIGKILL');
    const ended = await start(['agent', '--name', 'three', '--join', platform.told.joinToken], { env: platform.env }).ended;
    expectRefusal(ended, 'WM_UNREACHABLE', platform.told.address);
  });
});
