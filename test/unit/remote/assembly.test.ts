import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Assembly } from '../../../sim/campaign/remote/assembly.ts';
import { sha256Of } from '../../../sim/campaign/remote/messages.ts';

const TEXT = Array.from({ length: 1_000 }, (_, i) => `{"n":${i}}\n`).join('');
const PACKED = new Uint8Array(gzipSync(TEXT));
const PIECES = [PACKED.subarray(0, 100), PACKED.subarray(100, 500), PACKED.subarray(500)] as const;

describe('a record that comes in pieces', () => {
  let folder = '';
  let assembly: Assembly;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'assembly-'));
    assembly = new Assembly(join(folder, 'run.jsonl'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const add = (name: string, pieces: readonly Uint8Array[] = PIECES): void => pieces.forEach((piece, n) => assembly.add(name, n, piece));

  test('is the record, and nothing else is left', async () => {
    add('a');
    expect(await assembly.finish('a', 3, sha256Of(PIECES))).toBe(true);
    assembly.close();
    expect(readFileSync(join(folder, 'run.jsonl'), 'utf8')).toBe(TEXT);
    expect(readdirSync(folder)).toEqual(['run.jsonl']);
  });

  test('of two workers is that of the one that ended, however the pieces are mixed', async () => {
    add('dead', [PIECES[0]]);
    for (const [n, piece] of PIECES.entries()) {
      assembly.add('a', n, piece);
      assembly.add('dead', n + 1, new Uint8Array([n]));
    }
    expect(await assembly.finish('a', 3, sha256Of(PIECES))).toBe(true);
    assembly.close();
    expect(readFileSync(join(folder, 'run.jsonl'), 'utf8')).toBe(TEXT);
    expect(readdirSync(folder)).toEqual(['run.jsonl']);
  });

  test('is none while a piece is missing, out of turn, or not what it was', async () => {
    add('short', PIECES.slice(0, 2));
    assembly.add('gap', 0, PIECES[0]);
    assembly.add('gap', 2, PIECES[2]);
    add('odd', [PIECES[0], PIECES[2], PIECES[1]]);
    for (const name of ['short', 'gap', 'odd', 'unheard-of']) expect(await assembly.finish(name, 3, sha256Of(PIECES)), name).toBe(false);
    assembly.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is none when it is not packed, or unpacks to more than a record may be, and nothing is left', async () => {
    add('odd', [new Uint8Array([1, 2, 3])]);
    expect(await assembly.finish('odd', 1, sha256Of([new Uint8Array([1, 2, 3])]))).toBe(false);
    const small = new Assembly(join(folder, 'small.jsonl'), TEXT.length - 1);
    for (const [n, piece] of PIECES.entries()) small.add('a', n, piece);
    expect(await small.finish('a', 3, sha256Of(PIECES))).toBe(false);
    assembly.close();
    small.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('keeps no more than eight plays, of which the oldest is dropped', async () => {
    for (let i = 0; i < 9; i++) add(`a${i}`);
    expect(readdirSync(folder)).toHaveLength(8);
    expect(await assembly.finish('a8', 3, sha256Of(PIECES))).toBe(true);
    expect(await assembly.finish('a0', 3, sha256Of(PIECES))).toBe(false);
    assembly.close();
  });

  test('that was closed while it was unpacked stands nowhere', async () => {
    const piece = new Uint8Array(gzipSync(new Uint8Array(32 * 1_024 * 1_024)));
    add('a', [piece]);
    const finished = assembly.finish('a', 1, sha256Of([piece]));
    while (!readdirSync(folder).includes('run.jsonl.a.whole')) await new Promise((resolve) => setImmediate(resolve));
    assembly.close();
    expect(await finished).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that nobody wants costs nothing', async () => {
    const none = new Assembly(null);
    none.add('a', 0, PIECES[0]);
    expect(await none.finish('a', 0, sha256Of([]))).toBe(true);
    none.close();
  });
});
