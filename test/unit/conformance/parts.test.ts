// A comparison of which a part fails: what the others played is compared, and what failed is named wherever the verdict is read.
import { describe, expect, it } from 'vitest';
import { plain, type ConformanceSet } from '../../../hardware/conformance/case.ts';
import { failedLines, judge, junitLines, notBootedLines, type Machine } from '../../../hardware/conformance/conformance.ts';
import { playParts, type FailedPart, type Part } from '../../../hardware/conformance/parts.ts';
import { failed, ok, type Outcome } from '../../../system/domain/outcome.ts';

const SET: ConformanceSet = {
  modules: [{ name: 'f32', group: 'floats', wasm: 'f32.wasm', mayLackCode: [], cases: [plain('add', 'add')] }],
};
const RESULT = { outcome: 'returned 0', stdout: '', stderr: '', requests: '', fuel: 41, slices: 2, memoryBytesPeak: 131_072 };
const machineOf = (name: string): Machine => ({
  name,
  architecture: name,
  tier: 'native',
  expected: { levels: ['v1'], programs: 1, mayLack: false, compiles: false, runs: [] },
  lines: [
    { kind: 'host', architecture: name, node: 'v24.0.0', wasmtime: '48', compiler: true },
    { kind: 'profile', level: 'v1', text: 'fuel on' },
    { kind: 'case', module: 'f32', level: 'v1', case: 'add', result: RESULT },
    { kind: 'end' },
  ],
});
const BROKEN = failed('WM_MACHINE', { message: 'The machine hung.', next: 'Repeat.' });
const partOf = (name: string, play: Part['play']): Part => ({ name, architecture: name, tier: 'native', play });
const plays = (name: string, afterMs = 0): Part =>
  partOf(
    name,
    (signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(ok(machineOf(name))), afterMs);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve(failed('WM_CANCELLED', { message: `${name} was ended.`, next: 'Repeat.' }));
        });
      }),
  );
const fails = (name: string, how: () => Promise<Outcome<Machine>> = () => Promise.resolve(BROKEN)): Part => partOf(name, how);

describe('a part that fails', () => {
  it('is told at once, and ends none of the others', async () => {
    const told: string[] = [];
    const tell = ({ name, error }: FailedPart): void => void told.push(`${name} ${error.code}`);
    const thrown = fails('thrown', () => Promise.reject(new Error('no room')));
    const played = await playParts(plays('reference'), [fails('broken'), plays('slow', 20), thrown], {
      signal: new AbortController().signal,
      tell,
    });
    expect(played.ok && played.value.machines.map(({ name }) => name)).toEqual(['reference', 'slow']);
    expect(played.ok && played.value.failed.map(({ name, error }) => [name, error.code])).toEqual([
      ['broken', 'WM_MACHINE'],
      ['thrown', 'WM_CONFORMANCE'],
    ]);
    expect(told).toEqual(['broken WM_MACHINE', 'thrown WM_CONFORMANCE']);
  });

  it('ends all when it is the reference, and is the reason that is given', async () => {
    const told: string[] = [];
    const options = { signal: new AbortController().signal, tell: ({ name }: FailedPart): void => void told.push(name) };
    expect(await playParts(fails('reference'), [plays('slow', 60_000)], options)).toEqual(BROKEN);
    expect(told).toEqual(['reference']);
  });

  it('is nothing that is told when the user ended all', async () => {
    const told: string[] = [];
    const ending = new AbortController();
    const playing = playParts(plays('reference', 60_000), [plays('slow', 60_000)], {
      signal: ending.signal,
      tell: ({ name }) => void told.push(name),
    });
    ending.abort();
    expect(await playing).toMatchObject({ ok: false, error: { code: 'WM_CANCELLED' } });
    expect(told).toEqual([]);
  });
});

describe('the verdict of a comparison of which a part failed', () => {
  const part = { name: 'riscv64-machine', architecture: 'riscv64', tier: 'qemu-system', error: BROKEN.error };

  it('is never that it held', () => {
    const told = { failed: [part], wallMs: 1_000 };
    expect(judge(SET, [machineOf('a'), machineOf('b')], { wallMs: 1_000 })).toMatchObject({ verdict: 'held', failed: [] });
    expect(judge(SET, [machineOf('a'), machineOf('b')], told)).toMatchObject({ verdict: 'incomplete', differences: 0, failed: [part] });
    const silent = { ...machineOf('b'), lines: [] };
    expect(judge(SET, [machineOf('a'), silent], told).verdict).toBe('violated');
  });

  it('names the part and its error to people and to CI', () => {
    const conformance = judge(SET, [machineOf('a')], { failed: [part], wallMs: 1_000 });
    expect(failedLines(conformance)).toEqual([
      'riscv64-machine (qemu-system) was not compared: WM_MACHINE (failed): The machine hung. Repeat.',
    ]);
    expect(notBootedLines(conformance)).toEqual([]);
    const xml = junitLines(conformance).join('\n');
    expect(xml).toContain('failures="0" errors="1"');
    expect(xml).toContain(
      '<testcase classname="riscv64-machine" name="played"><error message="WM_MACHINE">WM_MACHINE (failed): The machine hung. Repeat.</error>',
    );
  });
});
