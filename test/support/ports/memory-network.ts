// Endpoints in one process: calls arrive at once, and a test may cut an endpoint off.
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok, unknown } from '../../../system/domain/outcome.ts';
import type { Connection, Network, ServiceHandler } from '../../../system/ports/network.ts';

export class MemoryNetwork implements Network {
  readonly #handlers = new Map<Endpoint, ServiceHandler>();
  /** Answers are lost after the handler ran. */
  losesAnswers = false;
  /** Methods whose answers come after any deadline. */
  readonly late = new Set<string>();
  dials = 0;
  readonly #open = new Set<{ isClosed: boolean; readonly closed: Promise<void> }>();

  get connections(): number {
    return this.#open.size;
  }

  async listen(endpoint: Endpoint, handler: ServiceHandler) {
    this.#handlers.set(endpoint, handler);
    return ok({ close: () => void this.#handlers.delete(endpoint) });
  }

  async connect(endpoint: Endpoint) {
    this.dials += 1;
    if (!this.#handlers.has(endpoint)) return failed('WM_UNREACHABLE', { message: `Nobody listens at ${endpoint}.`, next: 'Try again.' });
    let tellClosed: () => void = () => {};
    const line = { isClosed: false, closed: new Promise<void>((resolve) => (tellClosed = resolve)) };
    const lost = unknown('WM_CONNECTION_LOST', { message: 'The line is dead.', next: 'Observe.' });
    this.#open.add(line);
    const close = (): void => {
      line.isClosed = true;
      this.#open.delete(line);
      tellClosed();
    };
    const peer = { name: 'test/client' };
    const connection: Connection = {
      peer: { name: endpoint },
      call: async (method, request) => {
        const handler = this.#handlers.get(endpoint);
        if (line.isClosed || handler === undefined) return lost;
        const answer = await Promise.race([handler.call(method, peer, request.slice()), line.closed.then(() => lost)]);
        if (this.late.has(method)) return unknown('WM_DEADLINE', { message: 'The answer did not come in time.', next: 'Observe.' });
        return this.losesAnswers ? unknown('WM_CONNECTION_LOST', { message: 'The answer was lost.', next: 'Observe.' }) : answer;
      },
      open: async () => failed('WM_UNREACHABLE', { message: 'No streams here.', next: 'Use calls.' }),
      close,
    };
    return ok(connection);
  }
}
