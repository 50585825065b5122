// One agent's stream in messages instead of bytes.
import type { Outcome } from '../domain/outcome.ts';
import { ok } from '../domain/outcome.ts';
import type { AgentMessage, ControllerMessage } from '../domain/session.ts';
import { hearAll } from '../ports/hear.ts';
import type { ByteStream, PeerIdentity } from '../ports/network.ts';
import { decodeAgentMessage, encodeControllerMessage } from '../wire/codec/session.ts';

export class AgentStream {
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get peer(): PeerIdentity {
    return this.#stream.peer;
  }

  send(message: ControllerMessage): Promise<Outcome<void>> {
    return this.#stream.send(encodeControllerMessage(message));
  }

  /** Null when the agent closed in order. */
  receive(): Promise<Outcome<AgentMessage | null>> {
    return this.#stream.receive().then(decoded);
  }

  /** All that comes, until `take` wants no more. */
  hearAll(take: (received: Outcome<AgentMessage | null>) => boolean): Promise<void> {
    return hearAll(this.#stream, (received) => take(decoded(received)));
  }

  close(): void {
    this.#stream.close();
  }
}

function decoded(received: Outcome<Uint8Array | null>): Outcome<AgentMessage | null> {
  if (!received.ok) return received;
  return received.value === null ? ok<AgentMessage | null>(null) : decodeAgentMessage(received.value);
}
