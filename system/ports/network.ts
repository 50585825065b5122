// Calls and streams of bytes between named endpoints. A connection shows the verified identity of its peer.
// Order: messages of one stream arrive in order and whole, or the stream ends; calls are independent of each other.
// Bounds: a message is at most MESSAGE_BYTES_MAX; a stream admits `windowBytes` before `send` waits for the receiver.
// Failures: WM_UNREACHABLE means nothing was sent; after sending, WM_CONNECTION_LOST and WM_DEADLINE are unknown.
// Cancellation: closing a connection settles everything outstanding on it.
// Deadlines: `deadlineMicros` is how long to wait from the moment of the call, here and in every other port.
import type { Outcome } from '../domain/outcome.ts';
import type { Endpoint } from '../domain/identifiers.ts';

/** Bound: bytes of one message of a call or stream. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Who is at the other end: the verified name of its machine or user (`node/truck-7`, `operator/ops`). */
export type PeerIdentity = { readonly name: string };

export interface ByteStream {
  readonly peer: PeerIdentity;
  /** Resolves when the message was admitted to the window; says nothing about arrival. */
  send(message: Uint8Array): Promise<Outcome<void>>;
  /** The next message; null when the peer closed in order. One receive at a time. */
  receive(): Promise<Outcome<Uint8Array | null>>;
  /** Ends both directions in order; outstanding receives resolve. Idempotent. */
  close(): void;
}

export interface Connection {
  readonly peer: PeerIdentity;
  /** One request, one answer. An error of the remote handler arrives as the same `WmError`. */
  call(method: string, request: Uint8Array, options: { readonly deadlineMicros: number }): Promise<Outcome<Uint8Array>>;
  open(method: string): Promise<Outcome<ByteStream>>;
  close(): void;
}

export type ServiceHandler = {
  /** `method` is a path such as `/wasmmatrix.v1.Bus/Publish`. An unknown method answers WM_MESSAGE_INVALID. */
  readonly call: (method: string, peer: PeerIdentity, request: Uint8Array) => Promise<Outcome<Uint8Array>>;
  /** Owns the stream: it ends when the returned promise resolves. */
  readonly stream: (method: string, stream: ByteStream) => Promise<void>;
};

export interface Listener {
  close(): void;
}

export interface Network {
  /** Refused when the endpoint is taken. One endpoint may serve several services: the handler dispatches by method. */
  listen(endpoint: Endpoint, handler: ServiceHandler): Promise<Outcome<Listener>>;
  connect(endpoint: Endpoint, options: { readonly deadlineMicros: number }): Promise<Outcome<Connection>>;
}
