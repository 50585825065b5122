import { beforeAll, describe, expect, test } from 'vitest';
import { runCampaign } from '../../../sim/campaign/campaign.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import { jobOf, playerUrl } from './jobs.ts';

const player = playerUrl('leaky.ts');

function playAll(names: readonly string[]): Promise<readonly RunSummary[]> {
  return runCampaign({ jobs: names.map((name) => jobOf(name)), player, workersMax: 1 });
}

type Names = { gates: string[]; ways: string[]; allowed: string[] };
let names: Names;

beforeAll(async () => {
  const [summary] = await playAll(['names']);
  names = JSON.parse(summary?.trouble ?? '{}') as Names;
});

describe('the guard refuses ambient authority while an event runs (H1.4)', () => {
  test('it has a gate before every kind of thing the process offers', () => {
    const wanted = [
      'Date.now',
      'new Date()',
      'Date()',
      'Math.random',
      'performance.now',
      'performance.timeOrigin',
      'process.hrtime',
      'process.nextTick',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'timers.setTimeout',
      'timers/promises.setTimeout',
      'fetch',
      'WebSocket',
      'crypto.getRandomValues',
      'crypto.randomUUID',
      'crypto.randomBytes',
      'crypto.randomInt',
      'crypto.randomFillSync',
      'crypto.subtle.digest',
      'crypto.subtle.sign',
      'crypto.generateKeyPairSync',
      'crypto.pbkdf2',
      'fs.readFileSync',
      'fs.writeFile',
      'fs.promises.readFile',
      'fs.createReadStream',
      'net.connect',
      'net.Socket',
      'dgram.createSocket',
      'http.request',
      'https.request',
      'http2.connect',
      'tls.connect',
      'dns.lookup',
      'worker_threads.Worker',
      'child_process.spawn',
      'child_process.execFileSync',
      'FinalizationRegistry',
      'WeakRef',
      'WeakRef.prototype.deref',
      'Atomics.waitAsync',
      'WebAssembly.compile',
      'import()',
      'os.cpus',
      'vm.runInNewContext',
      'zlib.gzip',
      'AbortSignal.timeout',
      'timers/promises.scheduler.wait',
      'performance.nodeTiming',
      'process.binding',
      'sqlite.DatabaseSync',
      'v8.getHeapStatistics',
      'async_hooks.executionAsyncId',
      'CompressionStream',
      'Intl.DateTimeFormat.prototype.format',
      'PerformanceMark',
      'Event.prototype.timeStamp',
      'File.prototype.lastModified',
      'Blob.prototype.arrayBuffer',
      'Date.prototype.getHours',
      'Date.prototype.toString',
      'process.pid',
      'process.argv',
    ];
    expect(wanted.filter((name) => !names.gates.includes(name))).toEqual([]);
  });

  test('every gate refuses: the run is a bug that names function, port and caller', async () => {
    const summaries = await playAll(names.gates.map((name) => `gate:${name}`));
    const open = summaries.filter(
      (summary) =>
        summary.verdict !== 'bug' ||
        !/^.*WM_AMBIENT_CALL: .* was used while a simulated event ran, by .*leaky\.ts.*\. Use .+\./.test(summary.trouble ?? ''),
    );
    expect(open.map((summary) => `${summary.scenario}: ${summary.verdict} ${summary.trouble?.slice(0, 200)}`)).toEqual([]);
    expect(summaries.length).toBeGreaterThan(150);
  });

  test('no way around it is open', async () => {
    const summaries = await playAll(names.ways);
    expect(summaries.map((summary) => [summary.scenario, summary.verdict])).toEqual(names.ways.map((name) => [name, 'bug']));
    for (const summary of summaries)
      expect(summary.trouble).toContain(summary.scenario === 'a floating promise' ? 'nobody handles it: nobody looks' : 'WM_AMBIENT_CALL');
  });

  test('what is a function of its input stays allowed', async () => {
    const summaries = await playAll(names.allowed);
    expect(summaries.map((summary) => [summary.scenario, summary.verdict, summary.trouble])).toEqual(
      names.allowed.map((name) => [name, 'held', null]),
    );
  });

  test('the message names the port to use instead and the place that called', async () => {
    const [summary] = await playAll(['a reference captured when the module was loaded']);
    expect(summary?.trouble).toMatch(
      /WM_AMBIENT_CALL: Date\.now .*test\/unit\/sim-kernel\/players\/leaky\.ts:\d+:\d+.*clock\.monotonicMicros\(\)/,
    );
  });
});
