// The controller's end of one agent's stream: what is waiting to be sent, newest first where only the newest counts. Bound: one
// desired state, one acknowledgement and a few control messages wait at a time, however slow the link is.
import type { Incarnation, NodeId } from '../domain/identifiers.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { ControllerMessage } from '../domain/session.ts';
import { encodeValue } from '../journal/journal.ts';
import type { Micros } from '../ports/clock.ts';
import type { AgentStream } from '../api/api.ts';

type Left = () => void;
type Desired = Extract<ControllerMessage, { readonly kind: 'desired' }>;

export type SessionOptions = {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly nowMicros: Micros;
  readonly stream: Pick<AgentStream, 'send' | 'close'>;
  readonly onClosed: (cause: string) => void;
};

export class AgentSession {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** When its agent said something last. */
  heardMicros: Micros;
  readonly #options: SessionOptions;
  #welcome: ControllerMessage | null = null;
  #desired: { readonly message: ControllerMessage; readonly left: Left } | null = null;
  #ack: ControllerMessage | null = null;
  /** What the last desired state said, without its revision. */
  #content = '';
  #sending = false;
  #closed = false;
  readonly #onSent = (sent: Outcome<void>): void => this.#sent(sent);

  constructor(options: SessionOptions) {
    this.node = options.node;
    this.incarnation = options.incarnation;
    this.heardMicros = options.nowMicros;
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  welcome(message: ControllerMessage): void {
    this.#welcome = message;
    this.#pump();
  }

  /**
   * Replaces one that still waits; `left` is called when this or a newer one was handed to the network. One that says the
   * same as the last is not sent, since a stream loses nothing, unless the node is to be told again.
   */
  desire(message: Desired, again: boolean, left: Left): void {
    const { trust, modules, assignments, landmarks, withdrawn } = message;
    const content = encodeValue([trust, modules, assignments, landmarks, withdrawn]);
    if (!again && content === this.#content && this.#desired === null) return left();
    this.#content = content;
    const waiting = this.#desired?.left;
    this.#desired = {
      message,
      left: () => {
        waiting?.();
        left();
      },
    };
    this.#pump();
  }

  acknowledge(message: ControllerMessage): void {
    this.#ack = message;
    this.#pump();
  }

  close(cause: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#desired = null;
    this.#options.stream.close();
    this.#options.onClosed(cause);
  }

  #pump(): void {
    if (this.#sending || this.#closed) return;
    this.#sending = true;
    const sending = this.#sendNext();
    if (sending === null) this.#sending = false;
    else void sending.then(this.#onSent);
  }

  #sent(sent: Outcome<void>): void {
    this.#sending = false;
    if (sent.ok) this.#pump();
    else this.close(sent.error.code);
  }

  /** Hands the next message to the network; null when none waits. */
  #sendNext(): Promise<Outcome<void>> | null {
    const { stream } = this.#options;
    if (this.#closed) return null;
    if (this.#welcome !== null) {
      const sending = stream.send(this.#welcome);
      this.#welcome = null;
      return sending;
    }
    if (this.#desired !== null) {
      const { message, left } = this.#desired;
      this.#desired = null;
      const sending = stream.send(message);
      left();
      return sending;
    }
    if (this.#ack === null) return null;
    const sending = stream.send(this.#ack);
    this.#ack = null;
    return sending;
  }
}
