import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureEngine } from '../../../hardware/wasm/build/build.ts';
import { BUILD_TIMEOUT_MS } from './fixture.ts';

const SOURCE = new URL('./threads.worker.ts', import.meta.url);

let path = '';

beforeAll(async () => {
  path = await ensureEngine();
}, BUILD_TIMEOUT_MS);

function spawn(mode: 'finish' | 'hold'): Worker {
  return new Worker(SOURCE, { workerData: { path, mode }, execArgv: ['--no-warnings'] });
}

describe('the addon in worker threads of Node', () => {
  it('gives the same results in each, side by side', async () => {
    const results = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise<unknown>((resolve, reject) => {
            const worker = spawn('finish');
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
    expect(results[0]).toMatchObject({ inline: { kind: 'returned' } });
  });

  it('survives workers that are ended while legs run, and guests that were never closed', async () => {
    for (let round = 0; round < 5; round++) {
      const worker = spawn('hold');
      await new Promise<void>((resolve, reject) => {
        worker.once('message', () => resolve());
        worker.once('error', reject);
      });
      await worker.terminate();
    }
    const after = spawn('finish');
    expect(await new Promise((resolve) => after.once('message', resolve))).toMatchObject({ inline: { kind: 'returned' } });
  });
});

describe('a process', () => {
  const play = (mode: 'close' | 'leave' | 'idle'): number | null => {
    const script = fileURLToPath(new URL('./process.fixture.ts', import.meta.url));
    return spawnSync(process.execPath, ['--no-warnings', script, path, mode], { timeout: 60_000, stdio: 'inherit' }).status;
  };

  it('ends by itself when an engine is closed while legs run and wait', () => {
    expect(play('close')).toBe(0);
  });

  it('can be left while legs run', () => {
    expect(play('leave')).toBe(7);
  });

  it('is not held up by an engine and guests that were never closed', () => {
    expect(play('idle')).toBe(0);
  });
});
