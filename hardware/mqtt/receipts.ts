// Which identifier a message without one of its own was given, so that a redelivery of the same packet is given the same. A ring
// of the newest: acknowledgements leave in order, so that what comes again is always among them. The file is written before the message goes on and not synced: it outlives the process, kill -9 included,
// and not a loss of power, after which a redelivered message may be stored twice.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';

const SLOT_BYTES = 64;
const SUMMED_BYTES = 40;
const MAGIC = 0x574d5131;
const FINGERPRINT_BYTES = 16;
export const NONCE_BYTES = 8;

type Receipt = { readonly packet: number; readonly serial: number; readonly fingerprint: Uint8Array; readonly nonce: Uint8Array };

export type ReceiptsOptions = {
  /** Null: kept in memory only, so that a restart forgets it. */
  readonly file: string | null;
  readonly slots: number;
  /** Tells the identifiers of this process from all others. */
  readonly nonce: Uint8Array;
  /** First part of each identifier. */
  readonly prefix: string;
  /** The file failed after it was opened: from here on what is known is in memory only. */
  readonly onTrouble: (sentence: string) => void;
};

export class Receipts {
  readonly #options: ReceiptsOptions;
  /** Bound: `slots`. */
  readonly #known = new Map<number, Receipt>();
  readonly #ring: (Receipt | null)[];
  #handle: number | null = null;
  #serial = 1;

  private constructor(options: ReceiptsOptions) {
    this.#options = options;
    this.#ring = Array.from({ length: options.slots }, () => null);
  }

  static open(options: ReceiptsOptions): Outcome<Receipts> {
    const receipts = new Receipts(options);
    const { file } = options;
    if (file === null) return ok(receipts);
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      receipts.#load(readSlots(file).sort((a, b) => a.serial - b.serial));
      // Another number of slots puts receipts elsewhere: the file is written anew, and takes the place of the old one whole.
      const whole = Buffer.alloc(options.slots * SLOT_BYTES);
      receipts.#ring.forEach((receipt, i) => receipt !== null && slotOf(receipt).copy(whole, i * SLOT_BYTES));
      writeFileSync(`${file}.new`, whole, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      receipts.#handle = openSync(file, 'r+');
      return ok(receipts);
    } catch (error) {
      return failed('WM_STORAGE_FAILED', {
        message: `The file ${file} of the gateway cannot be used: ${error instanceof Error ? error.message : String(error)}.`,
        next: 'Name a folder that this user may write to and that has room.',
        detail: { file },
      });
    }
  }

  /** The identifier of a message; the one it had before, when this is the packet that was seen before. */
  identify(packet: number, redelivered: boolean, fingerprint: Uint8Array): string {
    const before = redelivered ? this.#known.get(packet) : undefined;
    if (before !== undefined && Buffer.compare(before.fingerprint, fingerprint) === 0) return this.#idOf(before);
    const receipt = { packet, serial: this.#serial++, fingerprint: Uint8Array.from(fingerprint), nonce: this.#options.nonce };
    this.#keep(receipt);
    this.#write(receipt);
    return this.#idOf(receipt);
  }

  close(): void {
    if (this.#handle !== null) closeSync(this.#handle);
    this.#handle = null;
  }

  #write(receipt: Receipt): void {
    if (this.#handle === null) return;
    try {
      writeSync(this.#handle, slotOf(receipt), 0, SLOT_BYTES, this.#slotAt(receipt) * SLOT_BYTES);
    } catch (error) {
      this.close();
      this.#options.onTrouble(
        `Writing ${String(this.#options.file)} failed (${error instanceof Error ? error.message : String(error)}); a message that comes again after a restart may be stored twice.`,
      );
    }
  }

  #load(receipts: readonly Receipt[]): void {
    for (const receipt of receipts) {
      this.#keep(receipt);
      this.#serial = receipt.serial + 1;
    }
  }

  #keep(receipt: Receipt): void {
    const at = this.#slotAt(receipt);
    const oldest = this.#ring[at];
    if (oldest !== null && oldest !== undefined && this.#known.get(oldest.packet) === oldest) this.#known.delete(oldest.packet);
    this.#ring[at] = receipt;
    this.#known.set(receipt.packet, receipt);
  }

  #slotAt(receipt: Receipt): number {
    return receipt.serial % this.#options.slots;
  }

  #idOf(receipt: Receipt): string {
    return `${this.#options.prefix}-${Buffer.from(receipt.nonce).toString('hex')}-${receipt.serial}`;
  }
}

function slotOf(receipt: Receipt): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES);
  slot.writeUInt32BE(MAGIC, 0);
  slot.writeUInt16BE(receipt.packet, 4);
  slot.writeBigUInt64BE(BigInt(receipt.serial), 8);
  slot.set(receipt.fingerprint.subarray(0, FINGERPRINT_BYTES), 16);
  slot.set(receipt.nonce.subarray(0, NONCE_BYTES), 32);
  slot.writeUInt32BE(crc32(slot.subarray(0, SUMMED_BYTES)), SUMMED_BYTES);
  return slot;
}

/** A slot that was half written, or never, is none. */
function readSlots(file: string): Receipt[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  const receipts: Receipt[] = [];
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    const slot = bytes.subarray(at, at + SLOT_BYTES);
    if (slot.readUInt32BE(0) !== MAGIC || slot.readUInt32BE(SUMMED_BYTES) !== crc32(slot.subarray(0, SUMMED_BYTES))) continue;
    receipts.push({
      packet: slot.readUInt16BE(4),
      serial: Number(slot.readBigUInt64BE(8)),
      fingerprint: Uint8Array.from(slot.subarray(16, 16 + FINGERPRINT_BYTES)),
      nonce: Uint8Array.from(slot.subarray(32, 32 + NONCE_BYTES)),
    });
  }
  return receipts;
}
