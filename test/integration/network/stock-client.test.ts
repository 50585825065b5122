// A gRPC client that knows nothing of us but the .proto: grpc-js used as its manual says, with the generated messages.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PROTOCOL_METHODS } from '../../../hardware/network/network.ts';
import { createApi } from '../../../system/api/api.ts';
import type { ApiServices } from '../../../system/api/api.ts';
import { FETCH_EVENTS_METHOD } from '../../../system/domain/broker.ts';
import type { Endpoint, Term } from '../../../system/domain/identifiers.ts';
import { QUERY_METHOD } from '../../../system/domain/operator.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import { SESSION_METHOD } from '../../../system/domain/session.ts';
import { MESSAGE_BYTES_MAX } from '../../../system/ports/network.ts';
import { OperatorAnswerSchema, OperatorQuerySchema } from '../../../system/wire/generated/wasmmatrix/v1/operator_pb.js';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';

const ENDPOINT = 'controller' as Endpoint;
const FULL = rejected('WM_BUS_FULL', { message: 'Voll: zu viele Ereignisse 🚚.', next: 'Later.', detail: { subject: 'a', depth: 7 } });

let world: GrpcWorld;
let client: Client;

beforeAll(async () => {
  const authority = await TestAuthority.create();
  world = new GrpcWorld();
  const server = world.machine((await authority.issue('controller', { hosts: ['localhost', '127.0.0.1'] })).identity, {
    methods: PROTOCOL_METHODS,
  });
  const unused = async () => FULL;
  const services: ApiServices = {
    isOperator: (peer) => peer.name === 'operator/ops',
    execute: unused,
    query: async () => ok({ kind: 'nodes', term: 3 as Term, nodes: [] }),
    fetch: async () => FULL,
    session: async () => {},
    watch: async () => {},
    logs: async () => {},
    bus: (method) => (method === FETCH_EVENTS_METHOD ? new Promise(() => {}) : unused()),
    state: unused,
  };
  get(await server.listen(ENDPOINT, createApi(services)));
  const { identity } = await authority.issue('operator/ops');
  client = new Client(
    server.addressOf(ENDPOINT)!.replace('127.0.0.1', 'localhost'),
    credentials.createSsl(
      Buffer.from(authority.authority.certificate),
      Buffer.from(identity.privateKey),
      Buffer.from(identity.certificate),
    ),
  );
});

afterAll(async () => {
  client.close();
  await world.close();
});

const asIs = (bytes: Buffer): Buffer => bytes;

function call(method: string, request: Uint8Array, deadlineMs = 10_000): Promise<Buffer | ServiceError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method,
      asIs,
      asIs,
      Buffer.from(request),
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null, answer?: Buffer) => resolve(error ?? answer!),
    );
  });
}

it('asks the operator API and reads the answer', async () => {
  const query = create(OperatorQuerySchema, { kind: 'nodes' });
  const answer = await call(QUERY_METHOD, toBinary(OperatorQuerySchema, query));
  expect(fromBinary(OperatorAnswerSchema, answer as Buffer).answer.case).toBe('nodes');
});

it('gets an error as a status that it knows, a sentence, and the exact error beside it', async () => {
  const error = (await call('/wasmmatrix.v1.Bus/Publish', new Uint8Array(1))) as ServiceError;
  expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(decodeURI(error.details)).toContain('WM_BUS_FULL');
  const [exact] = error.metadata.get('wm-error-bin');
  expect(JSON.parse((exact as Buffer).toString())).toEqual(FULL.error);
});

it('is told what is no message, no method, too large, too late', async () => {
  expect(await call(QUERY_METHOD, Buffer.from([0xff, 0xff]))).toMatchObject({ code: status.INVALID_ARGUMENT });
  expect(await call('/wasmmatrix.v1.Operator/Dance', new Uint8Array(1))).toMatchObject({ code: status.UNIMPLEMENTED });
  expect(await call(QUERY_METHOD, new Uint8Array(MESSAGE_BYTES_MAX + 1))).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  expect(await call(FETCH_EVENTS_METHOD, new Uint8Array(0), 300)).toMatchObject({ code: status.DEADLINE_EXCEEDED });
});

it('opens a stream and sees its end', async () => {
  const stream = client.makeBidiStreamRequest(SESSION_METHOD, asIs, asIs);
  const end = new Promise((resolve) => stream.on('status', ({ code }) => resolve(code)));
  stream.resume();
  expect(await end).toBe(status.OK);
});
