// What both sides of a connection share: its bounds, its probes, and how bytes are handed to the product.
import type { PeerIdentity } from '../../system/ports/network.ts';

/** Bound: calls of one connection that have no answer yet. */
export const CALLS_OPEN_MAX = 1_024;
/** Bound: streams of one connection. */
export const STREAMS_OPEN_MAX = 256;
/** Bound: the longest wait of a timer. */
export const WAIT_MS_MAX = 2 ** 31 - 1;

export type Keepalive = {
  /** Silence before a probe. */
  readonly idleMs: number;
  /** Wait for its answer. */
  readonly answerMs: number;
};

const IDLE_MS_LEAST = 1_000;

/** The answer has half of that time. */
export function keepaliveOf(idleMs: number): Keepalive {
  const idle = Math.max(IDLE_MS_LEAST, idleMs);
  return { idleMs: idle, answerMs: Math.ceil(idle / 2) };
}

export const PLAIN_TEXT_PEER: PeerIdentity = { name: 'plain-text' };

/** A view of plain bytes: the product's `slice` copies, that of a Buffer does not. */
export const bytesOf = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);

export const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/gu, '');
