// The services that stock clients expect of any gRPC server, answered by the listener itself: health, and reflection for those who
// have a certificate. Unlike a stream of ours, what is asked here may be half-closed at once and is answered nevertheless.
import { Metadata, status } from '@grpc/grpc-js';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { decodeHealthRequest, encodeHealthList, encodeHealthReply } from '../../system/wire/codec/health.ts';
import { Reflection } from '../../system/wire/codec/reflection.ts';
import { HEALTH_WATCHERS_MAX } from './health.ts';
import type { Health } from './health.ts';
import { encodeStatus } from './status.ts';
import { bytesOf } from './transport.ts';

const HEALTH = '/grpc.health.v1.Health';
/** What is asked of health needs no certificate: whoever probes has none, and learns nothing but whether we serve. */
export const HEALTH_METHODS: readonly string[] = ['Check', 'List', 'Watch'].map((method) => `${HEALTH}/${method}`);
export const STANDARD_METHODS: readonly string[] = [
  ...HEALTH_METHODS,
  ...['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`),
];

type Call = ServerInterceptingCallInterface;
type Answer = (bytes: Uint8Array) => Outcome<Uint8Array> | null;

const DONE = { code: status.OK, details: '' };
const NO_SUCH_SERVICE = { code: status.NOT_FOUND, details: 'No such service is served here.' };
const TOO_MANY = { code: status.RESOURCE_EXHAUSTED, details: `${HEALTH_WATCHERS_MAX} watch already.` };
const NO_REQUEST = { code: status.INVALID_ARGUMENT, details: 'There was no request.' };

export class StandardServices {
  readonly #health: Health;
  readonly #reflection: Reflection;
  readonly #watching = new Set<Call>();

  constructor(health: Health, services: readonly string[]) {
    this.#health = health;
    this.#reflection = new Reflection(services);
    health.add(services);
  }

  serve(path: string, call: Call): void {
    switch (path) {
      case `${HEALTH}/Check`:
        return exchange(call, (bytes) => this.#check(bytes));
      case `${HEALTH}/List`:
        return exchange(call, () => ok(encodeHealthList(this.#health.all())));
      case `${HEALTH}/Watch`:
        return this.#watch(call);
      default:
        return exchange(call, (bytes) => this.#reflection.answer(bytes));
    }
  }

  /** Those who watch would otherwise hold the listener open for as long as they please. */
  close(): void {
    for (const call of this.#watching) call.sendStatus(DONE);
    this.#watching.clear();
  }

  #check(bytes: Uint8Array): Outcome<Uint8Array> | null {
    const service = decodeHealthRequest(bytes);
    if (!service.ok) return service;
    const serving = this.#health.of(service.value);
    return serving === null ? null : ok(encodeHealthReply(serving));
  }

  #watch(call: Call): void {
    let request: Buffer | null = null;
    // Bound: one message is on its way, and the newest waits behind it.
    let isWriting = false;
    let newest: boolean | null | undefined;
    const tell = (serving: boolean | null): void => {
      newest = serving;
      if (isWriting) return;
      isWriting = true;
      newest = undefined;
      call.sendMessage(Buffer.from(encodeHealthReply(serving)), () => {
        isWriting = false;
        if (newest !== undefined) tell(newest);
      });
    };
    call.start({
      onReceiveMetadata: () => call.startRead(),
      onReceiveMessage: (message: Buffer) => {
        request = message;
        call.startRead();
      },
      onReceiveHalfClose: () => {
        const service = request === null ? null : decodeHealthRequest(bytesOf(request));
        if (service === null || !service.ok) return call.sendStatus(service === null ? NO_REQUEST : encodeStatus(service.error));
        if (!this.#health.watch(service.value, tell)) return call.sendStatus(TOO_MANY);
        this.#watching.add(call);
        call.sendMetadata(new Metadata());
        tell(this.#health.of(service.value));
      },
      onCancel: () => {
        this.#health.forget(tell);
        this.#watching.delete(call);
      },
    });
  }
}

/** One answer for each request, in order; the next is read when the one before is written. Null: there is no such service. */
function exchange(call: Call, answer: Answer): void {
  let isDone = false;
  const end = (last: Parameters<Call['sendStatus']>[0]): void => {
    if (!isDone) call.sendStatus(last);
    isDone = true;
  };
  call.start({
    onReceiveMetadata: () => {
      call.sendMetadata(new Metadata());
      call.startRead();
    },
    onReceiveMessage: (message: Buffer) => {
      const answered = answer(bytesOf(message));
      if (answered === null) end(NO_SUCH_SERVICE);
      else if (!answered.ok) end(encodeStatus(answered.error));
      else call.sendMessage(Buffer.from(answered.value), () => call.startRead());
    },
    onReceiveHalfClose: () => end(DONE),
    onCancel: () => {},
  });
}
