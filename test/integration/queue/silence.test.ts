// Workers that die or are silent, and a server that loses what it had: each takes a while to be noticed, so that these go side by side,
// each in a place of its own. Workers that must die are processes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test, type TestContext } from 'vitest';
import { ACK_WAIT_MS, type Taken } from '../../../hardware/queue/queue.ts';
import { runCampaign, type PlayJob } from '../../../sim/campaign/campaign.ts';
import { findScenario, readScenarios } from '../../../sim/campaign/library.main.ts';
import { prepare } from '../../../sim/campaign/prepare.main.ts';
import { buildOf } from '../../../sim/campaign/remote/build.ts';
import type { ScenarioSettings } from '../../../sim/campaign/scenario.main.ts';
import { ok } from '../../../system/domain/outcome.ts';
import { get } from '../../support/bus/site.ts';
import { start, type Running } from '../../support/e2e/command.ts';
import { NATS } from '../../support/nats/nats.ts';
import { jobOf } from '../../unit/sim-kernel/jobs.ts';
import { comeTo, isPlaying, Place, QueueSite, seeds } from './site.ts';

const PLAYER = new URL('../../../sim/campaign/scenario.main.ts', import.meta.url);

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS).concurrent(`a campaign over a queue (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let site: QueueSite;
  beforeAll(async () => {
    site = await QueueSite.open();
  });
  afterAll(() => site.close());

  const placeOf = (prefix: string, onTestFinished: TestContext['onTestFinished']): Place => {
    const place = new Place(site, prefix);
    onTestFinished(() => place.end());
    return place;
  };

  test('gives what a worker played that was killed to another, once', async ({ expect, onTestFinished }) => {
    const place = placeOf('killed', onTestFinished);
    const settings = await prepare(true);
    expect(settings).not.toBeNull();
    const files = ['node-failure', 'node-return'].map(findScenario).flatMap((found) => (found.ok ? [found.value] : []));
    const jobs = (name: string): readonly PlayJob[] =>
      readScenarios(files).scenarios.flatMap((scenario) =>
        seeds(3).map((seed) => {
          const recordFile = join(site.folder, `${name}-${scenario.name}-${seed}`);
          return { scenario, seed, verify: false, recordFile, reproduce: `run ${scenario.name} --seed ${seed}` };
        }),
      );
    const here = await runCampaign({ jobs: jobs('here'), player: PLAYER, settings, workersMax: 2 });
    const process = (name: string): Running => {
      const running = start(['worker', '--nats', site.server.url, '--nats-prefix', place.prefix, '--jobs', '1', '--name', name, '--json']);
      place.onEnd(async () => {
        running.child.kill('SIGKILL');
        await running.ended;
      });
      return running;
    };
    const { crew, said } = await place.crewOf(buildOf(settings as ScenarioSettings));
    const { seen, onProgress } = isPlaying(1);
    const results: string[] = [];
    const playing = crew.play({
      jobs: jobs('there'),
      onProgress,
      onResult: ({ scenario, seed }, index) => results.push(`${index} ${scenario} ${seed}`),
    });
    const first = process('first');
    await seen;
    first.child.kill('SIGKILL');
    await first.ended;
    const second = process('second');
    const there = await playing;
    expect(there.map(comeTo)).toEqual(here.map(comeTo));
    expect(there.map(({ verdict }) => verdict)).toEqual(seeds(6).map(() => 'held'));
    expect(results).toEqual(jobs('there').map(({ scenario, seed }, index) => `${index} ${scenario.name} ${seed}`));
    for (const { recordFile } of jobs('there')) {
      const mine = readFileSync(recordFile ?? '', 'utf8');
      expect(mine).toBe(readFileSync((recordFile ?? '').replace('there-', 'here-'), 'utf8'));
    }
    // What the first had under way was played by the second: no run was ended twice.
    const ended = (running: Running): number => running.stdout().split('\n').length - 1;
    // A worker says so after it has told the campaign, and one that is killed in between never does.
    await expect.poll(() => ended(first) + ended(second), { timeout: 30_000 }).toBeGreaterThanOrEqual(5);
    expect(ended(first) + ended(second)).toBeLessThanOrEqual(6);
    expect(said).toEqual(expect.arrayContaining(['Worker first plays with 1 thread.', 'Worker second plays with 1 thread.']));
    await crew.close();
  });

  test(
    'stays with a worker for as long as that says so, and with a silent one for no longer',
    { timeout: 120_000 },
    async ({ expect, onTestFinished }) => {
      const place = placeOf('silent', onTestFinished);
      const { crew, campaign } = await place.crewOf();
      const playing = crew.play({ jobs: [jobOf('gossip')] });
      const queue = await place.workerQueue();
      const first: Taken[] = [];
      const takeInto = async (list: Taken[]): Promise<number> => {
        const taken = get(await queue.take(campaign));
        return taken === null ? list.length : list.push(taken);
      };
      await expect.poll(() => takeInto(first)).toBe(1);
      const startMs = performance.now();
      const meanwhile: Taken[] = [];
      const held = async (): Promise<number> => {
        await takeInto(meanwhile);
        return performance.now() - startMs;
      };
      await expect.poll(held, { timeout: 3 * ACK_WAIT_MS, interval: 500 }).toBeGreaterThan(1.5 * ACK_WAIT_MS);
      expect(meanwhile).toEqual([]);
      first[0]?.abandon();
      await expect.poll(() => takeInto(meanwhile), { timeout: 3 * ACK_WAIT_MS, interval: 500 }).toBe(1);
      expect(meanwhile[0]?.deliveries).toBe(2);
      await place.hire('one');
      get((await meanwhile[0]?.back()) ?? ok());
      expect(await playing).toMatchObject([{ verdict: 'held' }]);
      await crew.close();
    },
  );

  test.for(['runs', 'verdicts', 'runs and verdicts'])(
    'offers again what the server lost with %s',
    { timeout: 180_000 },
    async (streams, { expect, onTestFinished }) => {
      const place = placeOf(streams.replaceAll(' ', '-'), onTestFinished);
      const { crew, said } = await place.crewOf();
      const playing = crew.play({ jobs: seeds(3).map((seed) => jobOf('gossip', seed)) });
      await expect.poll(async () => (await place.whatIsLeft())[`${place.prefix}-runs`]).toEqual([3, 1]);
      const { manager } = await site.connect();
      for (const stream of streams.split(' and ')) await manager.streams.delete(`${place.prefix}-${stream}`);
      await place.hire('one');
      expect((await playing).map(({ verdict }) => verdict)).toEqual(['held', 'held', 'held']);
      // One may be with the worker, which keeps what came of it until it can tell.
      expect(said).toContainEqual(expect.stringMatching(/^The queue has lost [23] runs; they are offered again\.$/));
      await crew.close();
    },
  );
});
