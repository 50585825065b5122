// What an agent must still know after a restart, in one bucket: how often it booted, its controller's key, the highest term
// and revision, the last desired state as it came over the wire. Writes are in order, one at a time, the newest of a key wins.
// A write that fails leaves the store in doubt: the agent must end (ports/storage).
import type { KeyId } from '../../system/domain/identifiers.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../system/domain/outcome.ts';
import type { TrustedKey } from '../../system/domain/module.ts';
import type { KeyValueStore } from '../../system/ports/storage.ts';
import { decodeSeen, encodeSeen } from './admission.ts';
import type { Seen } from './admission.ts';

const BOOT = 'boot';
const CONTROLLER_KEY = 'controller-key';
const SEEN = 'seen';
const DESIRED = 'desired';

export type PinnedKey = Pick<TrustedKey, 'key' | 'publicKey'>;

export type Memories = {
  readonly boot: number;
  readonly controllerKey: PinnedKey | null;
  readonly seen: Seen | null;
  readonly desired: Uint8Array | null;
};

export class Remembered {
  readonly #store: KeyValueStore;
  readonly #onFailure: (error: WmError) => void;
  /** Bound: one value per key. */
  readonly #dirty = new Map<string, Uint8Array>();
  #isWriting = false;

  constructor(store: KeyValueStore, onFailure: (error: WmError) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
  }

  /** Counts this boot, and reads back what earlier ones knew. */
  async open(): Promise<Outcome<Memories>> {
    const boot = await this.#store.put(BOOT, new Uint8Array(0), { expectedVersion: null });
    if (!boot.ok) return boot;
    const values: (Uint8Array | null)[] = [];
    for (const key of [CONTROLLER_KEY, SEEN, DESIRED]) {
      const entry = await this.#store.get(key);
      if (!entry.ok) return entry;
      values.push(entry.value?.value ?? null);
    }
    const [controllerKey, seen, desired] = values;
    const pinned = controllerKey === null || controllerKey === undefined ? null : decodeKey(new TextDecoder().decode(controllerKey));
    if (pinned !== null && !pinned.ok) return pinned;
    return ok({
      boot: boot.value,
      controllerKey: pinned?.value ?? null,
      seen: seen === null || seen === undefined ? null : decodeSeen(new TextDecoder().decode(seen)),
      desired: desired ?? null,
    });
  }

  /** Durable when resolved: the first controller that let this node in is the only one it believes. */
  async pin(key: PinnedKey): Promise<Outcome<void>> {
    const put = await this.#store.put(CONTROLLER_KEY, new TextEncoder().encode(`${key.key} ${hex(key.publicKey)}`), {
      expectedVersion: null,
    });
    return put.ok ? ok() : put;
  }

  /** Written behind: what is served meanwhile is fenced by its epochs, so no effect waits for this disk. */
  remember(seen: Seen, desired: Uint8Array | null): void {
    if (desired !== null) this.#dirty.set(DESIRED, desired);
    this.#dirty.set(SEEN, new TextEncoder().encode(encodeSeen(seen)));
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    for (let next = this.#take(); next !== null; next = this.#take()) {
      const put = await this.#store.put(next.key, next.value, { expectedVersion: null });
      if (put.ok) continue;
      this.#onFailure(put.error);
      return;
    }
    this.#isWriting = false;
  }

  #take(): { readonly key: string; readonly value: Uint8Array } | null {
    for (const [key, value] of this.#dirty) {
      this.#dirty.delete(key);
      return { key, value };
    }
    return null;
  }
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += (byte < 16 ? '0' : '') + byte.toString(16);
  return text;
}

function decodeKey(text: string): Outcome<PinnedKey> {
  const match = /^(\S+) ((?:[0-9a-f]{2})+)$/.exec(text);
  const digits = match?.[2];
  if (match === null || digits === undefined) {
    return rejected('WM_JOURNAL_CORRUPT', {
      message: 'The pinned key of the controller cannot be read back.',
      next: "Restore the agent's store, or remove it and enrol the node again.",
    });
  }
  const publicKey = Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
  return ok({ key: match[1] as KeyId, publicKey });
}
