// How the platform's processes end: in order when asked, with what they started, and without a word of what is secret in what they
// said. What a second signal does: test/integration/process.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { start, temporaryFolder, type Running } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const others: Running[] = [];
afterAll(async () => {
  for (const { child, ended } of others) {
    child.kill('SIGKILL');
    await ended;
  }
  await platform.close();
  folder.remove();
});

/** Processes of this machine whose command line names the folder. */
function processesOf(data: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(data);
    } catch {
      return false;
    }
  });
}

describe('a controller with agents beside it', () => {
  const up = async (name: string): Promise<{ readonly running: Running; readonly data: string }> => {
    const data = join(folder.make(name), 'data');
    const env = { XDG_CONFIG_HOME: folder.make('config'), WASMMATRIX_ADMIN: '127.0.0.1:0' };
    const running = start(['up', '--agents', '2', '--listen', '127.0.0.1:0', '--data', data, '--log-format', 'json'], { env });
    others.push(running);
    for (const agent of ['local-1', 'local-2'])
      await eventually(
        () => Promise.resolve(running.stderr()),
        (text) => new RegExp(`"source":"${agent}","kind":"agent.session".*"state":"connected"`).test(text),
        `${agent} is connected`,
      );
    return { running, data };
  };

  test('leaves no process behind after Ctrl-C', async () => {
    const { running, data } = await up('interrupted');
    expect(processesOf(data)).toHaveLength(3);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(stderr).toMatch(/Stopping in order/);
    expect({ code, left: processesOf(data) }).toEqual({ code: 0, left: [] });
  });

  test('leaves none when it is killed: its agents end with it', async () => {
    const { running, data } = await up('killed');
    running.child.kill('SIGKILL');
    const left = await eventually(
      () => Promise.resolve(processesOf(data)),
      (pids) => pids.length === 0,
      'no process is left',
    );
    expect(left).toEqual([]);
  });
});

describe('a session', () => {
  const outputs: string[] = [];
  const ok = async (...args: readonly string[]): Promise<void> => void (await platform.ok(...args));

  test('lets a running invocation finish when its agent is asked to stop, and its result leaves', async () => {
    await platform.up(['--log-level', 'debug']);
    await platform.agent('one', ['--memory', '256MiB', '--log-level', 'debug', '--drain', '60s']);
    const wasm = join(folder.path, 'burn.wasm');
    writeFileSync(wasm, readFileSync((await buildExamples()).get('burn')!.wasmPath));
    writeFileSync(
      join(folder.path, 'app.yaml'),
      '- { deploy: burn, origin: local }\n- { trigger: burn, on: work.burn, result: burnt.done, ackWait: 60s }\n',
    );
    await ok('keys', 'create', 'ops');
    await ok('trust', 'add', 'ops');
    await ok('push', wasm, '--sign', 'ops', '--fuel', '1000000000000');
    await ok('apply', join(folder.path, 'app.yaml'), '--running', '60');
    const listening = platform.follow('subscribe', 'burnt.>', '--count', '1');
    others.push(listening);
    await listening.said('Listening');
    const agent = platform.agentProcess('one');
    await ok('publish', 'work.burn', '1000000000');
    await agent.said('"kind":"invocation.started"');
    expect(agent.stderr()).not.toContain('"kind":"invocation.ended"');
    const ended = await platform.kill(agent, 'SIGTERM');
    expect(ended.code).toBe(0);
    const heard = await listening.ended;
    expect(heard.stdout).toMatch(/^burnt\.done \{"steps":1000000000,/);
    outputs.push(ended.stdout.replace(/^\{.*\n/, ''), ended.stderr);
  });

  test('stops in order when its terminal closes (SIGHUP)', async () => {
    const ended = await platform.kill(platform.controllerProcess(), 'SIGHUP');
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/Stopping in order/);
    outputs.push(ended.stderr);
  });

  test('wrote nothing that is secret into its logs', () => {
    const secrets = [platform.told.joinToken, platform.told.joinToken.slice(4, -8)];
    const home = join(folder.path, 'home');
    for (const file of readdirSync(home, { recursive: true }).map(String)) {
      if (!/\.key$|operator\.json$|identity\.json$/.test(file)) continue;
      const keys = readFileSync(join(home, file), 'utf8').match(/-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\n|\n)[^-]*/g) ?? [];
      secrets.push(...keys.map((key) => key.replaceAll(/-----[^-]*-----|\\n|\n/g, '').slice(0, 60)));
    }
    // The token twice; the keys of authority, artefacts, operator, node and author among them.
    expect(secrets.length).toBeGreaterThanOrEqual(6);
    const text = outputs.join('\n');
    expect(text.length).toBeGreaterThan(1_000);
    for (const secret of secrets) expect(text.includes(secret)).toBe(false);
    expect(text).not.toContain('PRIVATE KEY');
  });
});
