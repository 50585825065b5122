// A WASI 0.2 component as its user meets it: signed and pushed like a module, compiled for every machine, deployed; it keeps state by
// wasi:keyvalue and publishes by wasi:messaging; one that wants what no guest is given is refused at the push, by name (R10.5, P1).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { temporaryFolder } from '../support/e2e/command.ts';
import { Platform } from '../support/e2e/platform.ts';

const WALL_MS = 300_000;
const CAPABILITIES = ['log', 'publish:records.speed', 'state-read:worst/', 'state-write:worst/'];

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const MANIFEST = join(folder.path, 'app.yaml');

/** What came back for an event. */
async function answerTo(event: string): Promise<string> {
  const listening = platform.follow('subscribe', 'answers.speed', '--count', '1');
  await listening.said('Listening on answers.speed');
  await platform.ok('publish', 'roads.speed', event);
  return (await listening.ended).stdout;
}

beforeAll(async () => {
  writeFileSync(
    MANIFEST,
    '- { deploy: worst-speed, origin: local, replicas: 1 }\n- { trigger: worst-speed, on: roads.speed, result: answers.speed }\n',
  );
  await platform.up();
  await platform.agent('one');
  await platform.ok('keys', 'create', 'ops');
  await platform.ok('trust', 'add', 'ops', ...CAPABILITIES.flatMap((capability) => ['--grant', capability]));
}, WALL_MS);

afterAll(async () => {
  await platform.close();
  folder.remove();
});

describe('a component', () => {
  test('is pushed, has code, and answers events with what it kept', { timeout: WALL_MS }, async () => {
    const { wasmPath } = (await buildExamples()).get('worst-speed')!;
    const capabilities = CAPABILITIES.flatMap((capability) => ['--capability', capability]);
    await platform.ok('push', wasmPath, '--name', 'worst-speed', '--sign', 'ops', ...capabilities);
    await platform.ok('apply', MANIFEST, '--running', '60');
    expect(await platform.ok('get', 'matrix', 'worst-speed')).toMatch(/worst-speed@1\/\S+ +ready/);
    expect(await answerTo('a1 87')).toContain('{"road":"a1","worst":87,"new":true}');
    expect(await answerTo('a1 60')).toContain('{"road":"a1","worst":87,"new":false}');
    const listening = platform.follow('subscribe', 'records.speed', '--count', '1');
    await listening.said('Listening on records.speed');
    await platform.ok('publish', 'roads.speed', 'a1 130');
    expect((await listening.ended).stdout).toContain('{"road":"a1","worst":130,"new":true}');
  });

  test('is refused when it imports what no guest is given, by name', { timeout: WALL_MS }, async () => {
    const wasm = readFileSync((await buildExamples()).get('worst-speed')!.wasmPath);
    const path = join(folder.path, 'foreign.wasm');
    // Another name of the same length, so that the binary stays well-formed.
    writeFileSync(
      path,
      Buffer.from(wasm.toString('latin1').replaceAll('wasi:logging/logging@0.1.0-draft', 'wasi:hogging/hogging@0.1.0-draft'), 'latin1'),
    );
    const refused = await platform.run('push', path, '--name', 'foreign', '--sign', 'ops');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('WM_MODULE_IMPORT');
    expect(refused.stderr).toContain("'wasi:hogging/hogging@0.1.0-draft' 'log'");
  });
});
