// A redelivered packet is the same message, and a packet identifier that is used again is not.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Receipts } from '../../../hardware/mqtt/receipts.ts';
import { get } from '../../support/mqtt/site.ts';

const print = (text: string): Uint8Array => Buffer.from(text.padEnd(16, '.'));

describe('receipts', () => {
  let folder = '';
  let starts = 0;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-receipts-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const open = (name: string | null, slots = 4): Receipts =>
    get(
      Receipts.open({
        file: name === null ? null : join(folder, name),
        slots,
        nonce: Buffer.alloc(8, ++starts),
        prefix: 'plant',
        onTrouble: () => {},
      }),
    );

  it('give a redelivered packet its identifier again, and a new one with the same number and bytes another', () => {
    const receipts = open(null);
    const first = receipts.identify(7, false, print('a'));
    expect(receipts.identify(7, true, print('a'))).toBe(first);
    expect(receipts.identify(7, true, print('b'))).not.toBe(first);
    expect(receipts.identify(7, false, print('a'))).not.toBe(first);
  });

  it('survive the process, as many as there are slots, the newest ones', () => {
    const before = open('kept');
    const given = [1, 2, 3, 4, 5, 6].map((packet) => before.identify(packet, false, print(String(packet))));
    const after = open('kept');
    const again = [6, 5, 4, 3].map((packet) => after.identify(packet, true, print(String(packet))));
    expect(again).toEqual([...given].reverse().slice(0, 4));
    expect(given).not.toContain(after.identify(2, true, print('2')));
  });

  it('never give an identifier twice, also after the file is gone', () => {
    const first = open('gone').identify(1, false, print('a'));
    rmSync(join(folder, 'gone'));
    expect(open('gone').identify(1, true, print('a'))).not.toBe(first);
  });

  it('leave out a slot that was half written', () => {
    const before = open('torn');
    const [first, second] = [before.identify(1, false, print('1')), before.identify(2, false, print('2'))];
    const bytes = readFileSync(join(folder, 'torn'));
    bytes[2 * 64 + 20] = 0xff;
    writeFileSync(join(folder, 'torn'), bytes);
    const after = open('torn');
    expect(after.identify(1, true, print('1'))).toBe(first);
    expect(after.identify(2, true, print('2'))).not.toBe(second);
    truncateSync(join(folder, 'torn'), 100);
    expect(open('torn').identify(3, false, print('3'))).toMatch(/^plant-/);
  });

  it('say which file cannot be used', () => {
    const opened = Receipts.open({
      file: join(folder, 'kept', 'such'),
      slots: 4,
      nonce: new Uint8Array(8),
      prefix: 'p',
      onTrouble: () => {},
    });
    expect(opened.ok ? '' : opened.error.message).toContain(join(folder, 'kept', 'such'));
  });
});
