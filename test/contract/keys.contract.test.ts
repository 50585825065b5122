// What any key store promises, in both worlds.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileKeys, nodeCrypto } from '../../hardware/keys/keys.ts';
import { KeyRing } from '../../sim/keys/keys.ts';
import { createRandom } from '../../sim/random/random.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Keys } from '../../system/ports/keys.ts';
import { SimWorld } from './sim-world.ts';

const directories: string[] = [];
afterAll(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))));

const ARMS: readonly {
  readonly world: string;
  /** Two ports of the same store, as two processes have them. */ readonly create: () => Promise<readonly [Keys, Keys]>;
}[] = [
  {
    world: 'simulated',
    create: async () => {
      const ring = new KeyRing({ crypto: nodeCrypto, random: createRandom(new SimWorld().kernel, null), onForgery: () => {} });
      const port = (): Keys => ring.portOf('machine', () => Promise.resolve());
      return [port(), port()];
    },
  },
  {
    world: 'real',
    create: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'wasmmatrix-keys-'));
      directories.push(directory);
      return [new FileKeys(directory), new FileKeys(directory)];
    },
  },
];

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each(ARMS)('$world keys', ({ create }) => {
  it('digests as SHA-256 does', async () => {
    const [keys] = await create();
    expect(keys.digest(bytes('abc'))).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it('names a key after its public half', async () => {
    const [keys] = await create();
    const { key, publicKey } = get(await keys.open('ops'));
    expect(publicKey).toHaveLength(32);
    expect(key).toMatch(/^ed25519:[0-9a-f]{32}$/);
    expect(keys.keyIdOf(publicKey)).toBe(key);
    expect(keys.digest(publicKey).slice(7, 39)).toBe(key.slice(8));
  });

  it('makes a key once, also when it is asked for from two sides at the same time', async () => {
    const [one, two] = await create();
    const opened = await Promise.all([one.open('ops'), two.open('ops'), one.open('ops'), two.open('other')]);
    const [first, second, third, other] = opened.map((outcome) => get(outcome).key);
    expect(second).toBe(first);
    expect(third).toBe(first);
    expect(other).not.toBe(first);
  });

  it('signs what verifies, with that key and for that message alone', async () => {
    const [one, two] = await create();
    const signature = get(await one.sign('ops', bytes('message')));
    const { publicKey } = get(await two.open('ops'));
    const { publicKey: stranger } = get(await two.open('stranger'));
    expect(signature).toHaveLength(64);
    expect(two.verify(publicKey, bytes('message'), signature)).toBe(true);
    expect(two.verify(publicKey, bytes('message'), signature)).toBe(true);
    expect(two.verify(publicKey, bytes('massage'), signature)).toBe(false);
    expect(two.verify(stranger, bytes('message'), signature)).toBe(false);
    const changed = signature.slice();
    changed[10]! ^= 1;
    expect(two.verify(publicKey, bytes('message'), changed)).toBe(false);
  });

  it('signs the same message alike', async () => {
    const [one, two] = await create();
    expect(get(await two.sign('ops', bytes('message')))).toEqual(get(await one.sign('ops', bytes('message'))));
  });

  it('verifies nothing that is malformed', async () => {
    const [keys] = await create();
    const signature = get(await keys.sign('ops', bytes('message')));
    const { publicKey } = get(await keys.open('ops'));
    expect(keys.verify(publicKey.subarray(1), bytes('message'), signature)).toBe(false);
    expect(keys.verify(publicKey, bytes('message'), signature.subarray(1))).toBe(false);
    expect(keys.verify(new Uint8Array(32).fill(255), bytes('message'), signature)).toBe(false);
    expect(keys.verify(new Uint8Array(0), bytes('message'), new Uint8Array(0))).toBe(false);
  });
});
