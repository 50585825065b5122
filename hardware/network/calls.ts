// What becomes of a call that gRPC hands over: one request and one answer of the handler, or a stream of the port.
import { Metadata, status } from '@grpc/grpc-js';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import { connectionLost, encodeStatus, tooLarge } from './status.ts';
import { GrpcStream } from './stream.ts';
import { bytesOf } from './transport.ts';

const ONE_REQUEST = { code: status.UNIMPLEMENTED, details: 'A call has one request.' };

export type Taken = {
  readonly call: ServerInterceptingCallInterface;
  readonly path: string;
  readonly peer: PeerIdentity;
  readonly handler: ServiceHandler;
};

export function serveCall(taken: Taken): void {
  const { call } = taken;
  let request: Buffer | null = null;
  call.start({
    onReceiveMetadata: () => call.startRead(),
    onReceiveMessage: (message: Buffer) => {
      if (request === null) {
        request = message;
        call.startRead();
      } else {
        call.sendStatus(ONE_REQUEST);
      }
    },
    onReceiveHalfClose: () => {
      if (request === null) call.sendStatus(ONE_REQUEST);
      else void answer(taken, bytesOf(request));
    },
    onCancel: () => {},
  });
}

async function answer({ call, path, peer, handler }: Taken, request: Uint8Array): Promise<void> {
  const outcome = await handler.call(path, peer, request);
  if (!outcome.ok) {
    call.sendStatus(encodeStatus(outcome.error));
  } else if (outcome.value.length > MESSAGE_BYTES_MAX) {
    call.sendStatus(encodeStatus(tooLarge(outcome.value.length).error));
  } else {
    call.sendMessage(outcome.value, () => {});
    call.sendStatus({ code: status.OK, details: '' });
  }
}

/** `open` holds the stream for as long as anything refers to it. */
export function serveStream({ call, path, peer, handler }: Taken, open: Set<GrpcStream>): void {
  const stream = new GrpcStream({
    peer,
    read: () => call.startRead(),
    write: (message, written) => call.sendMessage(message, written),
    end: () => call.sendStatus({ code: status.OK, details: '' }),
    abort: () => call.sendStatus({ code: status.CANCELLED, details: 'The stream was given up.' }),
    forget: () => open.delete(stream),
  });
  open.add(stream);
  call.start({
    onReceiveMetadata: () => {
      call.sendMetadata(new Metadata());
      stream.start();
    },
    onReceiveMessage: (message: Buffer) => stream.accept(bytesOf(message)),
    onReceiveHalfClose: () => stream.endByPeer(),
    onCancel: () => stream.finish(connectionLost(peer.name, 'the peer or the connection went away')),
  });
  // A handler that throws is a bug, which ends the process.
  void handler.stream(path, stream).then(() => stream.close());
}
