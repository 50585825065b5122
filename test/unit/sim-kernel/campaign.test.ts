import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Crew, runCampaign } from '../../../sim/campaign/campaign.ts';
import type { CampaignOptions, CampaignProgress } from '../../../sim/campaign/campaign.ts';
import { Threads, youngMibOf } from '../../../sim/campaign/threads.ts';
import { jobOf, playerUrl } from './jobs.ts';

const player = playerUrl('toy.ts');
const play = (jobs: CampaignOptions['jobs'], more: Partial<CampaignOptions> = {}) => runCampaign({ jobs, player, workersMax: 2, ...more });

describe('a campaign', () => {
  test('gives one summary per job, in the order of the jobs, whatever the number of workers', async () => {
    const jobs = ['0x1', '0x2', '0x3', '0x4', '0x5', '0x6'].map((seed) => jobOf('gossip', seed));
    const order: number[] = [];
    const [alone, together] = [await play(jobs, { workersMax: 1 }), await play(jobs, { onResult: (_summary, index) => order.push(index) })];
    const shape = (runs: typeof alone) =>
      runs.map(({ seed, verdict, digest, steps, simulatedMicros, records }) => ({
        seed,
        verdict,
        digest,
        steps,
        simulatedMicros,
        records,
      }));
    expect(shape(together)).toEqual(shape(alone));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(alone.map((run) => run.digest)).size).toBe(6);
    expect(alone[0]).toMatchObject({
      scenario: 'gossip',
      question: 'Does gossip hold?',
      verdict: 'held',
      world: 'sim',
      trouble: null,
      simulatedMicros: 10_010_000,
    });
  });

  test('tells how far it is', async () => {
    const told: CampaignProgress[] = [];
    await play([jobOf('gossip', '0x1', { verify: true }), jobOf('gossip', '0x2')], { onProgress: (progress) => told.push(progress) });
    expect(told.at(-1)).toMatchObject({ runsDone: 2, runsTotal: 2, simulatedMicros: 3 * 10_010_000, active: [] });
    for (const [index, progress] of told.entries())
      expect(progress.simulatedMicros).toBeGreaterThanOrEqual(told[index - 1]?.simulatedMicros ?? 0);
  });

  test('writes the records of a run, its header first, to the file it was given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'campaign-'));
    const recordFile = join(folder, 'run.jsonl');
    const [summary] = await play([jobOf('gossip', '0x1', { verify: true, recordFile })]);
    const lines = readFileSync(recordFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { run?: unknown; sequence?: number });
    rmSync(folder, { recursive: true });
    expect(lines[0]).toHaveProperty('run');
    expect(lines.slice(1).map((line) => line.sequence)).toEqual(Array.from({ length: summary?.records ?? 0 }, (_, index) => index + 1));
    expect(summary?.records).toBeGreaterThan(1_000);
  });

  test('an error of the driver is a bug with stack, last events and last records', async () => {
    const [summary] = await play([jobOf('bug')]);
    expect(summary?.verdict).toBe('bug');
    expect(summary?.trouble).toMatch(/the toy broke\n\s+at playWorld .*toy\.ts/);
    expect(summary?.trouble).toMatch(/event \d+ at \d+ µs, world: sleep \(caused by event \d+\)/);
    expect(summary?.lastRecords.length).toBeGreaterThan(0);
  });

  test('a driver that waits for what never happens, with nothing left to happen, is a bug that says so', async () => {
    const [summary] = await play([jobOf('hangs')]);
    expect([summary?.verdict, summary?.trouble]).toEqual(['bug', expect.stringContaining('nothing was left to happen')]);
  });

  test('a worker that dies costs one run, and the campaign goes on', async () => {
    const runs = await play([jobOf('gossip', '0x1'), jobOf('dies'), jobOf('gossip', '0x2'), jobOf('gossip', '0x3')], { workersMax: 1 });
    expect(runs.map((run) => run.verdict)).toEqual(['held', 'bug', 'held', 'held']);
    expect(runs[1]?.trouble).toMatch(/The worker that played this run died: Error: the worker broke\n\s+at .*toy\.ts/);
  });

  test('a run that stays in one event is ended, and the campaign goes on', async () => {
    const runs = await play([jobOf('endless'), jobOf('gossip', '0x2')], { workersMax: 1, silentWallMsMax: 4_000 });
    expect(runs.map((run) => run.verdict)).toEqual(['bug', 'held']);
    expect(runs[0]?.trouble).toContain('an endless loop?');
  });

  test('can be cancelled: runs under way and runs to come are cancelled', async () => {
    const abort = new AbortController();
    const jobs = ['0x1', '0x2', '0x3', '0x4'].map((seed) => ({
      ...jobOf('gossip', seed),
      scenario: { ...jobOf('gossip').scenario, durationMicros: 4_000_000_000 },
    }));
    const runs = await play(jobs, { workersMax: 1, signal: abort.signal, onProgress: () => abort.abort() });
    expect(runs.map((run) => run.verdict)).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled']);
    expect(runs[0]?.steps).toBeGreaterThan(0);
    expect(await play(jobs, { signal: AbortSignal.abort() })).toHaveLength(4);
  });

  test('a player that cannot be made refuses the whole campaign', async () => {
    await expect(play([jobOf('gossip')], { settings: 'refuses' })).rejects.toThrow('the engine is not there');
    await expect(play([jobOf('gossip')], { player: playerUrl('absent.ts') })).rejects.toThrow('absent.ts');
    expect(await play([])).toEqual([]);
  });
});

const TOY = 'test/unit/sim-kernel/players/toy.ts';
const toy = readFileSync(new URL('players/toy.ts', import.meta.url), 'utf8').split('\n');
/** Number of the line of the toy that has this text, or of a later one that has it too. */
function lineOf(text: string, later = 0): number {
  const lines = toy.flatMap((line, i) => (line.includes(text) ? [i + 1] : []));
  return lines[later] ?? -1;
}

describe('verifying plays twice and names the first difference', () => {
  const verify = (name: string) => play([jobOf(name, '0x7', { verify: true })]).then(([summary]) => summary);

  test('a world that is deterministic holds', async () => {
    const summary = await verify('gossip');
    expect([summary?.verdict, summary?.trouble]).toEqual(['held', null]);
  });

  test('a counter that outlives the run is found at the note that showed it, both texts named', async () => {
    const summary = await verify('counter');
    expect(summary?.verdict).toBe('nondeterministic');
    expect(summary?.trouble).toMatch(
      /^WM_NOT_DETERMINISTIC: two plays of this seed differ at event \d+, 5010000 µs\.\n {2}first play: {2}at 5010000 µs, m0: noted play 1\n {2}second play: at 5010000 µs, m0: noted play 2\n/,
    );
    // In the source: the line that said it, and the lines that set the events of the chain.
    const leak = lineOf("kernel.note('m0', `play");
    expect(summary?.trouble).toMatch(new RegExp(`\\n {2}noted at ${TOY}:${leak}:\\d+, in the second play\\n`));
    const sleeps = lineOf('await world.sleep(microsMax / 4)', 1);
    expect(summary?.trouble).toMatch(
      new RegExp(
        `what led there, in the second play:\\n(?: {4}event \\d+ at \\d+ µs, .*\\n)* {4}event \\d+ at 5010000 µs, world: sleep \\(caused by event \\d+\\), set at sim/clock/clock\\.ts:\\d+:\\d+, for ${TOY}:${sleeps}:\\d+$`,
      ),
    );
  });

  test('an event that only the second play has is found when it is delivered', async () => {
    const summary = await verify('late event');
    expect(summary?.trouble).toMatch(
      /differ at event \d+, 50100\d\d µs\.\n {2}first play: {2}at \d+ µs, m\d: .*\n {2}second play: at 5010007 µs, m\d: planted\n/,
    );
    const leak = lineOf("'planted', () => {}");
    expect(summary?.trouble).toMatch(
      new RegExp(`event \\d+ at 5010007 µs, m\\d: planted \\(caused by event \\d+\\), set at ${TOY}:${leak}:\\d+$`),
    );
  });

  test('a bug is one when both plays end in it, and a difference when only the first does', async () => {
    expect(await verify('bug')).toMatchObject({ verdict: 'bug', trouble: expect.stringContaining('the toy broke') as string });
    expect(await verify('bug once')).toMatchObject({
      verdict: 'nondeterministic',
      trouble: expect.stringContaining('WM_NOT_DETERMINISTIC') as string,
    });
  });

  test('a second play that ends before the first is found', async () => {
    const summary = await verify('ends early');
    expect(summary?.trouble).toMatch(/first play: {2}went on at \d+ µs, .*\n {2}second play: nothing: it had ended/);
  });
});

describe('a crew', () => {
  test('plays campaign after campaign with the threads of the first, and starts others where one died or was stopped', async () => {
    const crew = new Crew({ player });
    try {
      const counted = async (): Promise<string | null | undefined> =>
        (await crew.play({ jobs: [jobOf('counter', '0x1')], workersMax: 1 }))[0]?.digest;
      // The toy notes how often its thread has played.
      const [first, second] = [await counted(), await counted()];
      expect(second).not.toBe(first);
      expect(await crew.play({ jobs: [jobOf('dies', '0x1')], workersMax: 1 })).toMatchObject([{ verdict: 'bug' }]);
      expect(await counted()).toBe(first);
      const stopped = await crew.play({ jobs: [jobOf('gossip', '0x1')], workersMax: 1, signal: AbortSignal.abort() });
      expect(stopped).toMatchObject([{ verdict: 'cancelled' }]);
      expect(await counted()).toBe(second);
    } finally {
      await crew.close();
    }
  });

  test('gives a large fleet a thread with more room, which small ones may have after it', () => {
    expect([0, 1_000, 5_000, 10_000, 100_000].map(youngMibOf)).toEqual([192, 192, 500, 768, 768]);
    const threads = new Threads({ player });
    const roomOf = (machines: number): number | undefined => {
      const { worker } = threads.take(machines);
      void threads.give(worker);
      return worker.resourceLimits?.maxYoungGenerationSizeMb;
    };
    try {
      expect([roomOf(10), roomOf(5_000), roomOf(10), roomOf(5_000)]).toEqual([192, 500, 192, 500]);
    } finally {
      void threads.close();
    }
  });

  test('gives what fresh threads give, several at a time', async () => {
    const jobs = ['0x1', '0x2', '0x3'].map((seed) => jobOf('gossip', seed));
    const digests = (runs: readonly { readonly digest: string | null }[]): readonly (string | null)[] => runs.map(({ digest }) => digest);
    const crew = new Crew({ player });
    try {
      const fresh = digests(await play(jobs));
      expect(digests(await crew.play({ jobs, workersMax: 2 }))).toEqual(fresh);
      expect(digests(await crew.play({ jobs, workersMax: 3 }))).toEqual(fresh);
    } finally {
      await crew.close();
    }
  });
});
