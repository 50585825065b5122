// No destination ever sees a secret.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { redactFields, redactText } from '../../../hardware/telemetry/redaction.ts';
import { openTelemetry } from '../../../hardware/telemetry/telemetry.ts';

const TOKEN = 'wm1.QUJDREVGR0hJSktMTU5PUA.c2VjcmV0LXNlY3JldA';
const KEY = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim();
const KEY_BYTES = KEY.split('\n')[1]!;

describe('redaction', () => {
  it.each([
    ['a join token', `joined with ${TOKEN}, then`, 'joined with [redacted], then'],
    ['a private key', `read ${KEY} from disk`, 'read [redacted] from disk'],
    ['a private key that was cut off', `read ${KEY.slice(0, 50)}`, 'read [redacted]'],
    ['a password in an address', 'nats://ops:hunter2@127.0.0.1:4222 is down', 'nats://[redacted]@127.0.0.1:4222 is down'],
    ['a bearer token', 'Authorization: Bearer abcdefgh12345', 'Authorization: Bearer [redacted]'],
    ['a password that is named', 'password=hunter2 and user=ops', 'password=[redacted] and user=ops'],
    ['a token in JSON', '{"token": "abc def", "node": "truck-7"}', '{"token": [redacted], "node": "truck-7"}'],
  ])('takes out %s', (_what, text, left) => {
    expect(redactText(text)).toBe(left);
  });

  it.each([
    'Node truck-7 enrolled (incarnation 1): x86_64, 4 cores, zone fleet/truck-7.',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'Modules signed with ed25519:abcdef are trusted from now on.',
    'the join token is wrong',
    'http://127.0.0.1:9464/metrics',
  ])('leaves alone: %s', (text) => {
    expect(redactText(text)).toBe(text);
  });

  it('takes out what a field calls a secret, whatever it looks like, and keeps public keys', () => {
    expect(redactFields({ joinToken: 'x', password: 7, privateKey: 'y', key: 'ed25519:abc', tokenless: null })).toEqual({
      joinToken: '[redacted]',
      password: '[redacted]',
      privateKey: '[redacted]',
      key: 'ed25519:abc',
      tokenless: null,
    });
  });

  it('stands before every destination', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-redaction-'));
    const paths = { json: join(folder, 'json.log'), records: join(folder, 'records.jsonl') };
    const opened = openTelemetry({
      source: 'truck-7',
      incarnation: 1,
      role: 'agent',
      log: { level: 'debug', format: 'json', path: paths.json },
      records: { path: paths.records },
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const telemetry = opened.value;
    telemetry.log('error', `It said ${TOKEN} and ${KEY}`, `c-${TOKEN}` as never);
    telemetry.record('security.refused', { node: 'truck-7', subject: TOKEN, code: 'WM_NODE_REFUSED', message: TOKEN });
    telemetry.record('node.status', { node: TOKEN, incarnation: 1, from: 'healthy', to: 'suspect', cause: KEY });
    const metrics = await telemetry.metrics();
    await telemetry.close();
    const written = [metrics, await readFile(paths.json, 'utf8'), await readFile(paths.records, 'utf8')].join('\n');
    await rm(folder, { recursive: true });
    expect(written).toContain('[redacted]');
    expect(written).not.toContain('c2VjcmV0');
    expect(written).not.toContain(KEY_BYTES);
  });
});
