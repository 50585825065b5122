import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadIdentity, saveIdentity } from '../../../hardware/network/network.ts';
import type { KeptIdentity } from '../../../hardware/network/network.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { get, TestAuthority } from '../../contract/grpc-world.ts';

let directory: string;
let path: string;
let kept: KeptIdentity;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wasmmatrix-identity-'));
  path = join(directory, 'agent', 'identity.json');
  const { identity, issued } = await (await TestAuthority.create()).issue('node/truck-7');
  const bus = { kind: 'nats', servers: ['nats://127.0.0.1:4222'], user: 'fleet', password: null, prefix: 'wasmmatrix' } as const;
  const { notAfterMs, renewAtMs } = issued;
  kept = { name: 'node/truck-7', identity, addresses: ['127.0.0.1:7420'], notAfterMs, renewAtMs, bus };
});

afterEach(() => rmSync(directory, { recursive: true }));

const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code}: ${outcome.error.message}`);

describe('an identity file', () => {
  it('holds what was saved last, for its owner alone, and leaves nothing beside it', async () => {
    get(await saveIdentity(path, { ...kept, addresses: ['127.0.0.1:1'] }));
    get(await saveIdentity(path, kept));
    expect(get(await loadIdentity(path))).toEqual(kept);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(directory, 'agent'))).toEqual(['identity.json']);
  });

  it('that is not there is no trouble', async () => {
    expect(get(await loadIdentity(path))).toBeNull();
  });

  it('that others may read, or that is a link, is refused', async () => {
    get(await saveIdentity(path, kept));
    chmodSync(path, 0o644);
    expect(sentenceOf(await loadIdentity(path))).toBe(
      `WM_KEY_UNUSABLE: Identity file ${path}: others than its owner may use it (mode 644).`,
    );
    chmodSync(path, 0o600);
    const link = join(directory, 'link');
    symlinkSync(path, link);
    expect(sentenceOf(await loadIdentity(link))).toMatch(/it is a symbolic link/);
  });

  it('that is damaged, incomplete, of another version or of another machine is told apart', async () => {
    get(await saveIdentity(path, kept));
    const whole = readFileSync(path, 'utf8');
    const other = await (await TestAuthority.create()).issue('node/truck-8');
    const value = JSON.parse(whole) as Record<string, unknown>;
    const say = async (text: string): Promise<string> => {
      writeFileSync(path, text);
      return sentenceOf(await loadIdentity(path));
    };
    expect(await say(whole.slice(0, -20))).toMatch(/it is damaged/);
    expect(await say('[]')).toMatch(/it is no identity file/);
    expect(await say(JSON.stringify({ ...value, version: 2 }))).toMatch(/version 2, which this version cannot read/);
    expect(await say(JSON.stringify({ ...value, addresses: null }))).toMatch(/something is missing in it/);
    expect(await say(JSON.stringify({ ...value, bus: { kind: 'nats' } }))).toMatch(/something is missing in it/);
    const mixed = { ...kept.identity, privateKey: other.identity.privateKey };
    expect(await say(JSON.stringify({ ...value, identity: mixed }))).toMatch(/do not belong together/);
    expect(await say(whole)).toBe('ok');
  });

  it('that cannot be written says where and why', async () => {
    writeFileSync(join(directory, 'agent'), '');
    expect(sentenceOf(await saveIdentity(path, kept))).toMatch(
      /^WM_STORAGE_FAILED: Identity file .* could not be read or written: another file is in its place, EEXIST\.$/,
    );
  });
});
