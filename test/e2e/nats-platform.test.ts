// The platform whose events travel through NATS JetStream: the same commands, and a broker that may be away.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { start, temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';
import { NATS, startNats, type NatsServer } from '../support/nats/nats.ts';

const WALL_MS = 180_000;
const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));

async function publishAndSee(v: number): Promise<string> {
  const listening = platform.follow('subscribe', 'answers.>', '--count', '1');
  await listening.said('Listening on answers.>');
  await platform.ok('publish', 'questions.plain', `${v}`);
  return (await listening.ended).stdout;
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a platform on NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let nats: NatsServer;

  beforeAll(async () => {
    nats = await startNats({ syncAlways: true });
  }, WALL_MS);

  afterAll(async () => {
    await platform.close();
    await nats?.stop();
    folder.remove();
  });

  test('is refused, in words, where nobody answers for the broker', { timeout: WALL_MS }, async () => {
    const alone = await start(['up', '--bus', 'nats', '--nats-servers', 'nats://127.0.0.1:9', '--nats-accept-loss-at-power-cut'], {
      env: platform.env,
    }).ended;
    expect(alone.stderr).toMatch(/WM_UNREACHABLE \(failed\): .*127\.0\.0\.1:9/);
    expect(alone.code).toBe(2);
    expect(alone.stderr).toMatch(/WM_UNREACHABLE \(failed\): .*127\.0\.0\.1:9/);
    const unsaid = await platform.run('up', '--bus', 'nats');
    expect(unsaid.stderr).toMatch(/no server of it is named\. Name them with --nats-servers/);
    const unasked = await platform.run('up', '--bus', 'nats', '--nats-servers', nats.url);
    expect(unasked.stderr).toMatch(/--nats-monitors/);
  });

  test('carries events to guests and results back', { timeout: WALL_MS }, async () => {
    const example = (await buildExamples()).get('echo');
    const module = join(folder.path, 'echo.wasm');
    copyFileSync(example!.wasmPath, module);
    const manifest = join(folder.path, 'app.yaml');
    writeFileSync(manifest, '- { deploy: echo, origin: local }\n- { trigger: echo, on: questions.>, result: answers.echo }\n');
    await platform.up(['--bus', 'nats', '--nats-servers', nats.url, '--nats-monitors', nats.monitorUrl]);
    await platform.agent('one', ['--memory', '512MiB']);
    await platform.ok('keys', 'create', 'ops');
    await platform.ok('trust', 'add', 'ops');
    await platform.ok('push', module, '--sign', 'ops');
    await platform.ok('apply', manifest, '--running', '60');
    expect(await publishAndSee(1)).toMatch(/answers\.echo 1/);
  });

  test('says so when the broker is away, and goes on when it is back', { timeout: WALL_MS }, async () => {
    await nats.kill();
    const away = await platform.run('publish', 'questions.plain', '2', '--wait', '3');
    expect(away.code).toBe(2);
    expect(away.stderr).toMatch(/WM_(UNREACHABLE|CONNECTION_LOST|DEADLINE)/);
    await nats.restart();
    await eventually(
      () => platform.run('publish', 'questions.late', '3', '--wait', '10'),
      ({ code }) => code === 0,
      'an event is taken again',
    );
    expect(await publishAndSee(4)).toMatch(/answers\.echo/);
  });
});
