// What the door of the controller refused to a peer that has a certificate: calls that are not its to make, and bytes that are no
// message (R8.2, R13.7). Whoever calls so has old software, was just given other work, or is not who the certificate says.
import type { Fact } from '../domain/telemetry.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { MICROS_PER_S } from '../ports/clock.ts';
import type { Clock } from '../ports/clock.ts';
import type { ServiceHandler } from '../ports/network.ts';

/** Bound: refusals of one peer that are told in a second; whoever calls in a loop must not fill the log. */
export const REFUSALS_PER_SECOND_MAX = 16;
const TOLD: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['WM_NODE_REFUSED', 'WM_MESSAGE_INVALID']);

type Refusal = Extract<Fact, { readonly kind: 'security.refused' }>;

/** The same door, which tells what it refused. */
export function tellRefusals(
  door: ServiceHandler,
  { clock, tell }: { readonly clock: Pick<Clock, 'monotonicMicros'>; readonly tell: (refusal: Refusal) => void },
): ServiceHandler {
  let second = -1;
  /** Bound: peers that call within one second. */
  const told = new Map<string, number>();
  const admits = (peer: string): boolean => {
    const now = Math.floor(clock.monotonicMicros() / MICROS_PER_S);
    if (now !== second) told.clear();
    second = now;
    const count = (told.get(peer) ?? 0) + 1;
    told.set(peer, count);
    return count <= REFUSALS_PER_SECOND_MAX;
  };
  return {
    stream: (method, stream) => door.stream(method, stream),
    call: async (method, peer, request) => {
      const answer = await door.call(method, peer, request);
      if (!answer.ok && TOLD.has(answer.error.code) && admits(peer.name)) {
        const { code, message } = answer.error;
        tell({ kind: 'security.refused', fields: { node: peer.name, subject: method, code, message } });
      }
      return answer;
    },
  };
}
