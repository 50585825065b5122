// Endpoints in one process: calls arrive at once, and a test may cut an endpoint off.
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok, unknown } from '../../../system/domain/outcome.ts';
import type { Connection, Network, ServiceHandler } from '../../../system/ports/network.ts';

export class MemoryNetwork implements Network {
  readonly #handlers = new Map<Endpoint, ServiceHandler>();
  /** Answers are lost after the handler ran. */
  losesAnswers = false;
  dials = 0;
  readonly #open = new Set<{ isClosed: boolean }>();

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
    const line = { isClosed: false };
    this.#open.add(line);
    const close = (): void => {
      line.isClosed = true;
      this.#open.delete(line);
    };
    const peer = { name: 'test/client' };
    const connection: Connection = {
      peer: { name: endpoint },
      call: async (method, request) => {
        const handler = this.#handlers.get(endpoint);
        if (line.isClosed || handler === undefined)
          return unknown('WM_CONNECTION_LOST', { message: 'The line is dead.', next: 'Observe.' });
        const answer = await handler.call(method, peer, request.slice());
        return this.losesAnswers ? unknown('WM_CONNECTION_LOST', { message: 'The answer was lost.', next: 'Observe.' }) : answer;
      },
      open: async () => failed('WM_UNREACHABLE', { message: 'No streams here.', next: 'Use calls.' }),
      close,
    };
    return ok(connection);
  }
}
