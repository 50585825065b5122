// Artefacts in parts: resumed where they broke off, refused where they do not fit (R3.4). Old artefacts give way (R13.5).
import { expect, test } from 'vitest';
import { beginPartial, continueDownload } from '../../../agents/cache/download.ts';
import type { Fetch } from '../../../agents/cache/download.ts';
import { planEviction } from '../../../agents/cache/eviction.ts';
import type { Digest, ProfileId } from '../../../system/domain/identifiers.ts';
import type { ArtefactStatement } from '../../../system/domain/module.ts';
import { ok, unknown } from '../../../system/domain/outcome.ts';

const BYTES = Uint8Array.from({ length: 10 }, (_, i) => i);
const statement: ArtefactStatement = {
  module: 'sha256:m' as Digest,
  target: 't',
  profile: 'p' as ProfileId,
  artefact: 'sha256:a' as Digest,
  sizeBytes: BYTES.length,
};
const always = (): boolean => true;

test('a download that broke off goes on at its offset', async () => {
  const offsets: number[] = [];
  let broken = true;
  const fetch: Fetch = ({ offset, bytesMax }) => {
    offsets.push(offset);
    if (offset === 8 && broken) {
      broken = false;
      return Promise.resolve(unknown('WM_CONNECTION_LOST', { message: '', next: '' }));
    }
    return Promise.resolve(ok({ sizeBytes: BYTES.length, offset, bytes: BYTES.slice(offset, offset + bytesMax) }));
  };
  const partial = beginPartial(statement);
  expect((await continueDownload(partial, statement, { fetch, bytesMax: 4, isWanted: always })).ok).toBe(false);
  expect((await continueDownload(partial, statement, { fetch, bytesMax: 4, isWanted: always })).ok).toBe(true);
  expect(offsets).toEqual([0, 4, 8, 8]);
  expect(partial.bytes).toEqual(BYTES);
});

test('parts that do not fit end the download', async () => {
  for (const part of [
    { sizeBytes: 10, offset: 0, bytes: new Uint8Array(0) },
    { sizeBytes: 10, offset: 1, bytes: BYTES.slice(1) },
    { sizeBytes: 11, offset: 0, bytes: BYTES },
    { sizeBytes: 10, offset: 0, bytes: new Uint8Array(11) },
  ]) {
    const ended = await continueDownload(beginPartial(statement), statement, {
      fetch: () => Promise.resolve(ok(part)),
      bytesMax: 64,
      isWanted: always,
    });
    expect(ended.ok ? null : ended.error.code).toBe('WM_DIGEST_MISMATCH');
  }
});

test('nothing is fetched that is not wanted any more', async () => {
  let fetches = 0;
  const fetch: Fetch = ({ offset }) => {
    fetches += 1;
    return Promise.resolve(ok({ sizeBytes: 10, offset, bytes: BYTES.slice(offset, offset + 2) }));
  };
  const ended = await continueDownload(beginPartial(statement), statement, { fetch, bytesMax: 2, isWanted: () => fetches < 2 });
  expect(ended.ok ? null : ended.error.code).toBe('WM_CANCELLED');
  expect(fetches).toBe(2);
});

test('the longest undesired artefacts go first, and desired ones never', () => {
  const digests = ['a', 'b', 'c', 'd'].map((name) => `sha256:${name}` as Digest);
  expect(planEviction(digests, new Set([digests[0] as Digest]), 1)).toEqual([digests[1], digests[2]]);
  expect(planEviction(digests, new Set(digests), 0)).toEqual([]);
  expect(planEviction(digests, new Set(), 8)).toEqual([]);
});
