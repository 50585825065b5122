// Runs that are spread over workers by a real NATS server: none is lost, none counts twice, and what comes of each is what comes of it
// here. What has to be waited for stands in silence.test.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RunSummary } from '../../../scenarios/record.ts';
import { runCampaign, type CampaignProgress, type PlayJob } from '../../../sim/campaign/campaign.ts';
import { summaryOf } from '../../../sim/campaign/player.ts';
import { toBuild } from '../../../sim/campaign/remote/build.ts';
import { encodeMeta, encodeSummary, sha256Of } from '../../../sim/campaign/remote/messages.ts';
import { assert } from '../../../system/domain/outcome.ts';
import { get } from '../../support/bus/site.ts';
import { NATS, startNats, type NatsServer } from '../../support/nats/nats.ts';
import { jobOf } from '../../unit/sim-kernel/jobs.ts';
import { comeTo, isPlaying, Place, QueueSite, seeds, TOY, TOYS } from './site.ts';

/** What docs/reference/nats.md says that the server has to allow. */
const PAGE = readFileSync(new URL('../../../docs/reference/nats.md', import.meta.url), 'utf8');
const STRICT = (/^## Runs over many machines[^]*?^```\n(authorization [^]*?)^```/m.exec(PAGE)?.[1] ?? '')
  .replace('$CAMPAIGN_PASSWORD', 'c')
  .replace('$WORKER_PASSWORD', 'w');

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a campaign over a queue (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let site: QueueSite;
  let place: Place;
  let places = 0;

  beforeAll(async () => {
    site = await QueueSite.open();
  });
  beforeEach(() => {
    place = new Place(site, `q${(places += 1)}`);
  });
  afterEach(() => place.end());
  afterAll(() => site.close());

  const crewOf: Place['crewOf'] = (...args) => place.crewOf(...args);
  const hire: Place['hire'] = (...args) => place.hire(...args);
  const whatIsLeft: Place['whatIsLeft'] = () => place.whatIsLeft();
  /** A place on a server of its own. */
  const strictly = async (config: string): Promise<NatsServer> => {
    const strict = await startNats({ config });
    place = new Place(site, 'wasmmatrix');
    place.onEnd(() => strict.stop());
    return strict;
  };
  /** A run of the toy that goes on for some seconds. */
  const slow = (seed: string): PlayJob => {
    const job = jobOf('gossip', seed);
    return { ...job, scenario: { ...job.scenario, durationMicros: 400_000_000 } };
  };

  test('comes to what it comes to here, in the same order, with the same records, and leaves nothing behind', async () => {
    const jobs = (name: string): readonly PlayJob[] =>
      seeds(12).map((seed) => jobOf(seed === '0x5' ? 'bug' : 'gossip', seed, { recordFile: join(site.folder, `${name}-${seed}`) }));
    const here = await runCampaign({ jobs: jobs('here'), ...TOY, workersMax: 2 });
    await hire('one', 2);
    await hire('two');
    const { crew, said } = await crewOf();
    const order: number[] = [];
    const told: CampaignProgress[] = [];
    const there = await crew.play({
      jobs: jobs('there'),
      onResult: (_, index) => order.push(index),
      onProgress: (progress) => told.push(progress),
    });
    // Where a stack is from differs; what happened does not.
    expect(there.map(comeTo)).toEqual(here.map(comeTo));
    expect(order).toEqual(seeds(12).map((_, index) => index));
    for (const seed of seeds(12))
      expect(readFileSync(join(site.folder, `there-${seed}`), 'utf8'), seed).toBe(readFileSync(join(site.folder, `here-${seed}`), 'utf8'));
    expect(told.at(-1)).toMatchObject({ runsDone: 12, runsTotal: 12, active: [], workers: 2 });
    expect(said).toEqual(expect.arrayContaining(['Worker one plays with 2 threads.', 'Worker two plays with 1 thread.']));
    const again = await crew.play({ jobs: [jobOf('gossip', '0x1')] });
    expect(again.map(({ digest }) => digest)).toEqual([here[0]?.digest]);
    await crew.close();
    expect(await whatIsLeft()).toEqual({ [`${place.prefix}-runs`]: [0, 0], [`${place.prefix}-verdicts`]: [0, 0] });
  });

  test('goes round a worker of another build, which says why, and whose refusal costs no run a try', async () => {
    const { crew, said } = await crewOf();
    const odd = await hire('odd', 1, toBuild({ ...TOYS, sources: 'other' }, 'cafe'));
    const playing = crew.play({ jobs: seeds(3).map((seed) => jobOf('gossip', seed)) });
    await expect
      .poll(() => said)
      .toContainEqual(expect.stringMatching(/^Worker odd plays none of these runs: .* they differ in sources\.$/));
    const right = await hire('right');
    expect((await playing).map(({ verdict }) => verdict)).toEqual(['held', 'held', 'held']);
    await expect.poll(() => right.played.length).toBe(3);
    expect(odd.played).toEqual([]);
    expect(odd.said.join('\n')).toMatch(/are not played: it is another build, .*commit cafe/);
    await crew.close();
  });

  test('is told when nobody plays, and waits', async () => {
    const { crew, said } = await crewOf();
    const playing = crew.play({ jobs: [jobOf('gossip')] });
    await expect.poll(() => said, { timeout: 15_000 }).toContainEqual(expect.stringMatching(/^No worker plays these runs\. Start one/));
    await hire('late');
    expect(await playing).toMatchObject([{ verdict: 'held' }]);
    await crew.close();
  });

  test('takes its own runs back when it is stopped, and no other campaign loses one', async () => {
    const [mine, other] = [await crewOf(), await crewOf()];
    const { worker, ended } = await hire('one');
    const stop = new AbortController();
    const { seen, onProgress } = isPlaying(1);
    const stopped = mine.crew.play({ jobs: seeds(5).map(slow), signal: stop.signal, onProgress });
    await seen;
    const kept = other.crew.play({ jobs: seeds(2).map((seed) => jobOf('gossip', seed)) });
    await expect.poll(() => other.queue.left()).toEqual({ ok: true, value: 2 });
    stop.abort();
    const runs = await stopped;
    expect(runs.map(({ verdict, trouble }) => [verdict, trouble])).toEqual([
      ['cancelled', 'Stopped by the user.'],
      ...seeds(4).map(() => ['cancelled', 'Stopped by the user before it began.']),
    ]);
    expect((await kept).map(({ verdict }) => verdict)).toEqual(['held', 'held']);
    expect(other.said).toEqual(['Worker one plays with 1 thread.']);
    await Promise.all([mine.crew.close(), other.crew.close()]);
    worker.leave();
    await ended;
    expect(await whatIsLeft()).toEqual({ [`${place.prefix}-runs`]: [0, 0], [`${place.prefix}-verdicts`]: [0, 0] });
  });

  test('shares workers with another in turn', async () => {
    const [long, short] = [await crewOf(), await crewOf()];
    const order: string[] = [];
    const onResult = ({ scenario }: RunSummary): void => void order.push(scenario);
    const { seen, onProgress } = isPlaying(1);
    const many = long.crew.play({ jobs: [slow('0x1'), ...seeds(12).map((seed) => jobOf('gossip', seed))], onResult, onProgress });
    await hire('one');
    await seen;
    const few = short.crew.play({ jobs: seeds(3).map((seed) => jobOf('counter', seed)), onResult });
    await Promise.all([many, few]);
    // The short one came when the first of thirteen was being played.
    expect(order.lastIndexOf('counter')).toBeLessThan(9);
    await Promise.all([long.crew.close(), short.crew.close()]);
  });

  test('has its runs back from a worker that leaves, which counts against none of them', async () => {
    const { crew, said } = await crewOf();
    const { seen, onProgress } = isPlaying(2);
    const playing = crew.play({ jobs: seeds(2).map(slow), onProgress });
    const leaving = await hire('leaving', 2);
    await seen;
    for (let left = leaving, times = 1; times <= 4; times++) {
      left.worker.giveBack();
      await left.ended;
      left = await hire(`leaving-${times}`, 2);
      await expect.poll(() => left.worker.playing, { timeout: 20_000 }).toBe(2);
    }
    expect((await playing).map(({ verdict }) => verdict)).toEqual(['held', 'held']);
    expect(said).toContain('leaving gave gossip 0x1 back.');
    await crew.close();
  });

  test('tells as trouble of a run that every worker dies of it', async () => {
    const { crew, campaign } = await crewOf();
    const recordFile = join(site.folder, 'worn');
    const playing = crew.play({ jobs: [jobOf('gossip', '0x7', { recordFile })] });
    const deadly = await place.workerQueue();
    for (let deaths = 0; deaths < 3;) {
      const taken = get(await deadly.take(campaign));
      // As the server does when a worker is silent.
      if (taken !== null) deaths += (await taken.back()).ok ? 1 : 0;
    }
    const { played } = await hire('one');
    const [run] = await playing;
    expect(run).toMatchObject({ verdict: 'bug', seed: '0x7', trouble: expect.stringMatching(/^3 workers took this run, and each died/) });
    expect({ played, record: readFileSync(recordFile, 'utf8') }).toEqual({ played: [], record: '' });
    await crew.close();
  });

  test('counts a run once, by the first end and with its record, however many come and whenever', async () => {
    const { crew, campaign } = await crewOf();
    const [first, second] = ['0x1', '0x2'].map((seed) => jobOf('gossip', seed, { recordFile: join(site.folder, `once-${seed}`) }));
    assert(first !== undefined && second !== undefined, 'there are two');
    const results: unknown[] = [];
    const playing = crew.play({ jobs: [first, second], onResult: ({ seed, steps }, index) => results.push([index, seed, steps]) });
    const queue = await place.workerQueue();
    const tellEnd = async (run: number, job: PlayJob, attempt: string, steps: number): Promise<void> => {
      const piece = new Uint8Array(gzipSync(attempt));
      const record = { kind: 'record', attempt, n: 0 } as const;
      const end = { kind: 'end', attempt, pieces: 1, sha256: sha256Of([piece]), worker: 'hand' } as const;
      const summary = summaryOf(job, { verdict: 'held', trouble: null, simulatedMicros: 1, wallMs: 1, steps });
      get(await queue.tell(campaign, run, `${attempt}.0`, encodeMeta(record), piece));
      get(await queue.tell(campaign, run, `${attempt}.end`, encodeMeta(end), encodeSummary(summary)));
    };
    await tellEnd(0, first, 'a', 10);
    await tellEnd(0, first, 'b', 20);
    await expect.poll(() => results).toEqual([[0, '0x1', 10]]);
    await tellEnd(0, first, 'c', 30);
    await tellEnd(1, second, 'd', 40);
    expect((await playing).map(({ steps }) => steps)).toEqual([10, 40]);
    expect(results).toEqual([
      [0, '0x1', 10],
      [1, '0x2', 40],
    ]);
    expect(readFileSync(first.recordFile ?? '', 'utf8')).toBe('a');
    await crew.close();
  });

  test('takes pieces that were read out of the stream before their run ends', async () => {
    const { crew, campaign } = await crewOf();
    const stop = new AbortController();
    const playing = crew.play({ jobs: [jobOf('gossip', '0x1', { recordFile: join(site.folder, 'long') })], signal: stop.signal });
    const queue = await place.workerQueue();
    for (let n = 0; n < 9; n++)
      get(await queue.tell(campaign, 0, `a.${n}`, encodeMeta({ kind: 'record', attempt: 'a', n }), new Uint8Array(512 * 1_024)));
    await expect.poll(async () => (await whatIsLeft())[`${place.prefix}-verdicts`]).toEqual([1, 1]);
    stop.abort();
    expect(await playing).toMatchObject([{ verdict: 'cancelled' }]);
    await crew.close();
  });

  test('ends with the error of whoever hears the results, and makes no verdict of it', async () => {
    const { crew } = await crewOf();
    await hire('one');
    const onResult = (): never => {
      throw new Error('no room for plans');
    };
    await expect(crew.play({ jobs: [jobOf('gossip')], onResult })).rejects.toThrow('no room for plans');
    await crew.close();
    expect(await whatIsLeft()).toEqual({ [`${place.prefix}-runs`]: [0, 0], [`${place.prefix}-verdicts`]: [0, 0] });
  });

  test('needs no more rights at the server than docs/reference/nats.md lists', async () => {
    expect(STRICT).toContain('user: worker');
    const strict = await strictly(STRICT);
    const { crew } = await crewOf(TOYS, await site.login(strict, 'campaign', 'c'));
    await hire('one', 2, TOYS, await site.login(strict, 'worker', 'w'));
    const recordFile = join(site.folder, 'strict');
    const runs = await crew.play({ jobs: [jobOf('gossip', '0x1', { recordFile }), jobOf('gossip', '0x2')] });
    expect(runs.map(({ verdict }) => verdict)).toEqual(['held', 'held']);
    await crew.close();
  });

  test('ends a worker that may not tell what came of a run, and tells why', async () => {
    const config = STRICT.replace('"wasmmatrix.verdicts.>"', '');
    expect(config).not.toBe(STRICT);
    const strict = await strictly(config);
    const { crew } = await crewOf(TOYS, await site.login(strict, 'campaign', 'c'));
    const stop = new AbortController();
    const playing = crew.play({ jobs: [jobOf('gossip')], signal: stop.signal });
    const { ended } = await hire('mute', 1, TOYS, await site.login(strict, 'worker', 'w'), false);
    await expect(ended).rejects.toThrow(/WM_NATS_REFUSED.* may not publish wasmmatrix\.verdicts\./);
    stop.abort();
    expect(await playing).toMatchObject([{ verdict: 'cancelled' }]);
    await crew.close();
  });

  test('goes on when the server was away', { timeout: 120_000 }, async () => {
    const { crew } = await crewOf();
    const { seen, onProgress } = isPlaying(1);
    const playing = crew.play({ jobs: [slow('0x1'), ...seeds(4).map((seed) => jobOf('gossip', seed))], onProgress });
    await hire('one');
    await seen;
    await site.server.restart();
    expect((await playing).map(({ verdict }) => verdict)).toEqual(['held', 'held', 'held', 'held', 'held']);
    await crew.close();
  });
});
