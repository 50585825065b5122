// Runs on workers elsewhere, as a user starts them: commands of their own, and a real NATS server between them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensureEngine } from '../../hardware/wasm/build/build.ts';
import type { SuiteSummary } from '../../scenarios/record.ts';
import { start, temporaryFolder, wasmmatrix, type Running } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';
import { writeScenario } from '../support/e2e/scenarios.ts';
import { NATS, startNats, type NatsServer } from '../support/nats/nats.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const comeTo = (out: string): readonly object[] => {
  const { runs } = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as SuiteSummary;
  return runs.map(({ wallMs: _, ...rest }) => rest);
};

describe('a worker', () => {
  test('lists the options that the reference lists', async () => {
    const { code, stdout } = await wasmmatrix(['worker', '--help']);
    expect(code).toBe(0);
    expect(documentedOptions('worker')).toEqual(helpedOptions(stdout));
  });

  test('is refused, in words, without servers and where nobody answers', async () => {
    const unsaid = await wasmmatrix(['worker']);
    expect(unsaid).toMatchObject({ code: 2, stderr: expect.stringContaining('Name them with --nats nats://host:4222') });
    const alone = await wasmmatrix(['worker', '--nats', 'nats://127.0.0.1:9']);
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringMatching(/WM_UNREACHABLE \(failed\): .*127\.0\.0\.1:9/) });
    const out = join(folder.path, 'unreachable');
    for (const verb of ['run', 'fuzz']) {
      const nowhere = await wasmmatrix([verb, '--nats', 'nats://127.0.0.1:9', '--out', out]);
      expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringMatching(/^WM_UNREACHABLE \(failed\): .*127\.0\.0\.1:9/) });
      expect(existsSync(out)).toBe(false);
    }
    const odd = await wasmmatrix(['run', '--nats', 'http://127.0.0.1:9']);
    expect(odd).toMatchObject({ code: 2, stderr: expect.stringContaining('Give nats://host:4222') });
  });

  test.each([
    [['run', '--nats', 'nats://127.0.0.1:9', '--jobs', '2'], /--jobs is for threads of this machine/],
    [['fuzz', '--nats', 'nats://127.0.0.1:9', '--jobs', '2'], /--jobs is for threads of this machine/],
    [['run', '--nats', 'nats://127.0.0.1:9', '--target', 'local'], /--nats is for the simulator alone/],
    [['run', '--nats', 'nats://127.0.0.1:9', '--nats-user', 'a', '--nats-credentials', 'b'], /both say who this is/],
    [['run', '--nats', 'nats://me:a/secret@127.0.0.1:9'], /^(?!.*secret).*WASMMATRIX_NATS_PASSWORD/s],
    [['worker', '--nats', 'nats://127.0.0.1:9', '--nats-certificate', 'a'], /needs its key/],
  ])('%j is refused for what contradicts itself', async (args, why) => {
    expect(await wasmmatrix(args)).toMatchObject({ code: 2, stderr: expect.stringMatching(why) });
  });
});

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`runs on workers (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  const workers: Running[] = [];
  let nats: NatsServer;
  beforeAll(async () => {
    nats = await startNats();
  });
  afterEach(async () => {
    for (const { child, ended } of workers.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
  });
  afterAll(() => nats.stop());

  const hire = (name: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Running => {
    const running = start(['worker', '--nats', nats.url, '--jobs', '1', '--name', name, ...args], { env });
    workers.push(running);
    return running;
  };
  /** Runs that are with workers. */
  const held = async (): Promise<number> => {
    const answer = await fetch(`${nats.monitorUrl}/jsz?streams=true&consumers=true`);
    const counts = [...(await answer.text()).matchAll(/"num_ack_pending": *(\d+)/g)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const left = async (): Promise<readonly [string, number, number][]> => {
    const answer = await fetch(`${nats.monitorUrl}/jsz?streams=true`);
    type Detail = { readonly name: string; readonly state: { readonly messages: number; readonly consumer_count: number } };
    const { account_details: accounts } = (await answer.json()) as { readonly account_details: { readonly stream_detail: Detail[] }[] };
    // The server says them in any order.
    return accounts
      .flatMap(({ stream_detail }) =>
        stream_detail.map(({ name, state }): [string, number, number] => [name, state.messages, state.consumer_count]),
      )
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
  };

  test('end as they do here: table, digests, records, commands and exit code, of scenarios that are in no catalogue', async () => {
    const files = [writeScenario(folder.path, 'mine', 'holds'), writeScenario(folder.path, 'broken', 'broken')];
    const [here, there] = [join(folder.path, 'here'), join(folder.path, 'there')];
    const args = ['run', ...files, '--seeds', '3', '--digests'];
    const alone = await wasmmatrix([...args, '--out', here]);
    const [one, two] = [hire('one'), hire('two', ['--json'])];
    await Promise.all([one.said('Ctrl-C stops it.'), two.said('Ctrl-C stops it.')]);
    const spread = await wasmmatrix([...args, '--nats', nats.url, '--out', there]);
    const withoutTimes = (text: string): string =>
      text
        .split('\n')
        .filter((line) => !/ simulated in |^ {2}report: /.test(line))
        .join('\n');
    expect(withoutTimes(spread.stdout)).toBe(withoutTimes(alone.stdout));
    expect({ code: spread.code, alone: alone.code }).toEqual({ code: 1, alone: 1 });
    expect(comeTo(there)).toEqual(comeTo(here));
    expect(readdirSync(there).sort()).toEqual(readdirSync(here).sort());
    expect(readFileSync(join(there, 'run.jsonl'), 'utf8')).toBe(readFileSync(join(here, 'run.jsonl'), 'utf8'));
    expect(spread.stderr).toMatch(/^Worker one plays with 1 thread\.$/m);
    expect(await left()).toEqual([
      ['wasmmatrix-runs', 0, 0],
      ['wasmmatrix-verdicts', 0, 0],
    ]);
    one.child.kill('SIGINT');
    two.child.kill('SIGINT');
    expect(await one.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('Stopping; nothing is being played.') });
    const lines = (await two.ended).stdout.split('\n').filter((line) => line !== '');
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(one.stdout().split('\n').length - 1 + lines.length).toBe(6);
  });

  test('of fuzz are drawn and judged as here', async () => {
    const [here, there] = [join(folder.path, 'fuzz-here'), join(folder.path, 'fuzz-there')];
    const args = ['fuzz', '--seed', '0x11', '--runs', '14', '--quiet'];
    const alone = await wasmmatrix([...args, '--out', here]);
    hire('one');
    hire('two');
    const spread = await wasmmatrix([...args, '--nats', nats.url, '--out', there]);
    expect({ code: spread.code, alone: alone.code }).toEqual({ code: 0, alone: 0 });
    for (const file of ['plans.jsonl', 'coverage.json'])
      expect(readFileSync(join(there, file), 'utf8'), file).toBe(readFileSync(join(here, file), 'utf8'));
    expect(readFileSync(join(there, 'plans.jsonl'), 'utf8')).toMatch(/"near":"0x/);
  });

  test('of fuzz that nobody played are no success', async () => {
    const args = ['fuzz', '--minutes', '0.05', '--nats', nats.url, '--out', join(folder.path, 'nobody')];
    const { code, stderr } = await wasmmatrix(args);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/WM_UNREACHABLE \(failed\): No worker played a run for this campaign: none has answered\./),
    });
  });

  test('of fuzz are taken back by Ctrl-C as soon as the server knows of the campaign', async () => {
    const campaign = start(['fuzz', '--nats', nats.url, '--quiet', '--out', join(folder.path, 'early')]);
    await expect.poll(left, { interval: 5, timeout: 20_000 }).toContainEqual(['wasmmatrix-runs', expect.any(Number), 1]);
    campaign.child.kill('SIGINT');
    const { code } = await campaign.ended;
    expect({ code, left: await left() }).toEqual({
      code: 130,
      left: [
        ['wasmmatrix-runs', 0, 0],
        ['wasmmatrix-verdicts', 0, 0],
      ],
    });
  });

  test('wait without a worker, say so, and are taken back by Ctrl-C', async () => {
    const out = join(folder.path, 'stopped');
    const campaign = start([
      'run',
      writeScenario(folder.path, 'waits', 'holds'),
      '--seeds',
      '3',
      '--nats',
      nats.url,
      '--out',
      out,
      '--quiet',
    ]);
    await campaign.said(`npx wasmmatrix worker --nats ${nats.url}. Waiting.`);
    expect(await left()).toContainEqual(['wasmmatrix-runs', 3, 1]);
    campaign.child.kill('SIGINT');
    const { code, stdout } = await campaign.ended;
    expect({ code, left: await left() }).toEqual({
      code: 130,
      left: [
        ['wasmmatrix-runs', 0, 0],
        ['wasmmatrix-verdicts', 0, 0],
      ],
    });
    expect(stdout).toContain('interrupted: 3 of 3 runs did not end.');
  });

  test('come back from a worker that is told twice to stop, and another plays them', async () => {
    const file = writeScenario(folder.path, 'long', 'holds', '900s');
    const campaign = start(['run', file, '--seeds', '1', '--nats', nats.url, '--out', join(folder.path, 'long')]);
    const worker = hire('hasty');
    await campaign.said('Worker hasty plays with 1 thread.');
    await expect.poll(held, { timeout: 20_000 }).toBe(1);
    worker.child.kill('SIGINT');
    await worker.said('1 run under way will end first');
    // What follows at once is npx's copy of the same wish.
    await expect
      .poll(
        () => {
          // Not once more after it has heard: by then it may have ended, and nobody listens.
          if (!worker.stderr().includes('Giving 1 run back.')) worker.child.kill('SIGINT');
          return worker.stderr();
        },
        { interval: 600, timeout: 30_000 },
      )
      .toContain('Giving 1 run back.');
    expect((await worker.ended).code).toBe(0);
    await campaign.said('hasty gave long 0x1 back.');
    const next = hire('next');
    expect((await campaign.ended).code).toBe(0);
    expect([worker.stdout(), next.stdout()]).toEqual(['', expect.stringMatching(/^held +long 0x1 .*\n$/)]);
  });

  test('are not played by a worker with another engine, and both sides say why', async () => {
    const engine = await ensureEngine();
    const odd = hire('odd', [], { WASMMATRIX_ENGINE: engine });
    await odd.said('Ctrl-C stops it.');
    const out = join(folder.path, 'refused');
    const campaign = start(['run', writeScenario(folder.path, 'asks', 'holds'), '--seeds', '1', '--nats', nats.url, '--out', out]);
    await campaign.said('they differ in engine.');
    expect(campaign.stderr()).toMatch(/^Worker odd plays none of these runs: it is another build/m);
    await odd.said('they differ in engine.');
    hire('right');
    expect((await campaign.ended).code).toBe(0);
    expect(odd.stdout()).toBe('');
  });
});
