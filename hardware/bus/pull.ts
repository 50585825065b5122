// One pull request to a durable consumer, in the protocol of JetStream itself: so many messages at most, none waited for or the
// first one waited for. It always ends: by the last message, by a status of the server, by the clock, or with the connection.
// What arrives after somebody gave it up goes to `stray`, so that no delivery is forgotten until its ack wait is over.
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { failed, ok, rejected, unknown, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS, type Clock } from '../../system/ports/clock.ts';
import type { NatsLink } from '../nats/nats.ts';

/** Bound: bytes answered to one pull; an answer stays one message for those who fetch through a controller. */
const BYTES_MAX = 3 * 1_024 * 1_024;
const NANOS_PER_MS = 1_000_000;
/** The server ends every request; only when it does not, we do, so much later. */
const SILENCE_MS_MAX = 2_000;

export type PullRequest = {
  readonly stream: string;
  readonly consumer: ConsumerName;
  readonly batch: number;
  /** Answers as soon as there is anything; otherwise only with all of `batch`. */
  readonly takesFewer: boolean;
  /** Also the time after which a request that takes fewer ends when the server may hand out no more (`pendingMax`). */
  readonly waitMs: number;
};

export type Pull = {
  readonly messages: Promise<Outcome<readonly Msg[]>>;
  /** Answers with this outcome now, unless it was answered; what is under way is given to `stray`. */
  abandon(outcome: Err): void;
};

export function consumerUnknown(name: ConsumerName): Err {
  return rejected('WM_BUS_CONSUMER_UNKNOWN', { message: `There is no consumer ${name}.`, next: 'Create the consumer first.' });
}

/** What a status of the server means for the request; null: nothing yet. */
function judge(status: number, description: string, request: PullRequest): Outcome<void> | null {
  switch (status) {
    case 100:
      return null;
    case 404:
    case 408:
      return ok();
    case 503:
      return consumerUnknown(request.consumer);
    default:
      if (/consumer deleted/i.test(description)) return consumerUnknown(request.consumer);
      // Said when the batch is whole, in a cluster even before its last messages, which wait for a quorum.
      if (/batch completed/i.test(description)) return null;
      // Nothing may be handed out beyond `pendingMax`, or the next message does not fit into this answer: there is none now.
      if (/maxackpending|maxbytes/i.test(description.replaceAll(' ', ''))) return ok();
      return failed('WM_UNREACHABLE', {
        message: `NATS ended the fetch from ${request.consumer}: ${description} (${status}).`,
        next: 'Try again with backoff.',
      });
  }
}

export function pull(link: NatsLink, clock: Clock, request: PullRequest, stray: (message: Msg) => void): Pull {
  const { stream, consumer, batch, takesFewer, waitMs } = request;
  const { connection } = link;
  const got: Msg[] = [];
  let settle: (outcome: Outcome<readonly Msg[]>) => void = () => {};
  const messages = new Promise<Outcome<readonly Msg[]>>((resolve) => (settle = resolve));
  let isAnswered = false;
  const subscription: Subscription = connection.subscribe(createInbox(), {
    callback: (error, message) => {
      if (error !== null) return end(lost(consumer));
      const status = message.headers?.code ?? 0;
      if (message.reply === undefined || message.reply === '' || status >= 100) {
        const judged = judge(status, message.headers?.description ?? '', request);
        return judged === null ? undefined : end(judged);
      }
      if (isAnswered) return stray(message);
      got.push(message);
      return got.length >= batch ? end(ok()) : undefined;
    },
  });
  /** What was got is answered even when the rest failed. */
  const answer = (outcome: Outcome<void>): void => {
    timer.cancel();
    unwatch();
    if (isAnswered) return;
    isAnswered = true;
    settle(got.length > 0 || outcome.ok ? ok(got) : outcome);
  };
  /** The server is done with the request. */
  const end = (outcome: Outcome<void>): void => {
    answer(outcome);
    if (!subscription.isClosed() && !connection.isClosed()) subscription.unsubscribe();
  };
  /** The server is told that nobody listens any more; what it had sent before is still heard. */
  const drain = async (): Promise<void> => {
    if (!subscription.isClosed() && !connection.isClosed()) await subscription.drain().catch(() => {});
  };
  const timer = clock.after((waitMs + SILENCE_MS_MAX) * MICROS_PER_MS, () => void drain().then(() => answer(silent(consumer))));
  const unwatch = link.watch(() => end(lost(consumer)));
  connection.publish(
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
    JSON.stringify({ batch, max_bytes: BYTES_MAX, no_wait: takesFewer, expires: waitMs * NANOS_PER_MS }),
    {
      reply: subscription.getSubject(),
    },
  );
  return {
    messages,
    abandon: (outcome) => {
      answer(outcome);
      void drain();
    },
  };
}

function silent(consumer: ConsumerName): Err {
  return unknown('WM_DEADLINE', { message: `NATS: no answer to the fetch from ${consumer} in time.`, next: 'Fetch again.' });
}

function lost(consumer: ConsumerName): Err {
  return unknown('WM_CONNECTION_LOST', {
    message: `The connection to NATS ended while a fetch from ${consumer} was waiting.`,
    next: 'Fetch again; the connection is made again on its own, and what was under way comes again after its ack wait.',
  });
}
