// A stock client that knows nothing of us but an address: it learns services and messages from the server (grpc.reflection), as
// grpcurl does, and asks for health as a load balancer does. grpc-js as its manual says; no schema of ours.
import { create, createFileRegistry, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import type { DescMethod, FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PROTOCOL_METHODS } from '../../../hardware/network/network.ts';
import type { GrpcNetwork, Identity } from '../../../hardware/network/network.ts';
import { createApi } from '../../../system/api/api.ts';
import type { ApiServices } from '../../../system/api/api.ts';
import type { Endpoint, Term } from '../../../system/domain/identifiers.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
} from '../../../system/wire/generated/grpc/health/v1/health_pb.js';
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../../system/wire/generated/grpc/reflection/v1/reflection_pb.js';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../../../system/wire/generated/grpc/reflection/v1/reflection_pb.js';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';

const CONTROLLER = 'controller' as Endpoint;
const NODE = 'agent/truck-7' as Endpoint;
const UNUSED = async () => rejected('WM_NOT_FOUND', { message: 'Not here.', next: 'Look elsewhere.' });
const SERVICES = {
  isOperator: (peer: { readonly name: string }) => peer.name === 'operator/ops',
  query: async () => ok({ kind: 'nodes', term: 3 as Term, nodes: [] }),
  execute: UNUSED,
  fetch: UNUSED,
  session: async () => {},
  bus: UNUSED,
  state: UNUSED,
} as unknown as ApiServices;
const VERSIONS = ['v1', 'v1alpha'] as const;
const STANDARD = ['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

let authority: TestAuthority;
let world: GrpcWorld;
let server: GrpcNetwork;
let clients: Client[];

beforeEach(async () => {
  authority = await TestAuthority.create();
  world = new GrpcWorld();
  clients = [];
  server = world.machine((await authority.issue('controller', { hosts: ['localhost', '127.0.0.1'] })).identity, {
    methods: PROTOCOL_METHODS,
  });
  get(await server.listen(CONTROLLER, createApi(SERVICES)));
  get(await server.listen(NODE, createApi(SERVICES)));
});

afterEach(async () => {
  for (const client of clients) client.close();
  await world.close();
});

const asIs = (bytes: Buffer): Buffer => bytes;

function clientOf(identity: Identity | null, endpoint = CONTROLLER): Client {
  const ca = Buffer.from(authority.authority.certificate);
  const secured =
    identity === null
      ? credentials.createSsl(ca)
      : credentials.createSsl(ca, Buffer.from(identity.privateKey), Buffer.from(identity.certificate));
  const client = new Client(server.addressOf(endpoint)!.replace('127.0.0.1', 'localhost'), secured);
  clients.push(client);
  return client;
}

const operator = async (endpoint = CONTROLLER): Promise<Client> => clientOf((await authority.issue('operator/ops')).identity, endpoint);

function call(client: Client, path: string, request: Uint8Array): Promise<Buffer | ServiceError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.from(request), new Metadata(), {}, (error: ServiceError | null, answer?: Buffer) =>
      resolve(error ?? answer!),
    );
  });
}

type Asked = ServerReflectionRequest['messageRequest'];

/** All questions at once, and half-closed at once. */
async function reflect(
  client: Client,
  questions: readonly Asked[],
  version: (typeof VERSIONS)[number] = 'v1',
): Promise<ServerReflectionResponse[]> {
  const stream = client.makeBidiStreamRequest(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, asIs, asIs);
  const answers: ServerReflectionResponse[] = [];
  stream.on('data', (bytes: Buffer) => answers.push(fromBinary(ServerReflectionResponseSchema, bytes)));
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('end', resolve);
  });
  for (const messageRequest of questions) {
    stream.write(Buffer.from(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest }))));
  }
  stream.end();
  await ended;
  return answers;
}

async function listed(client: Client, version: (typeof VERSIONS)[number] = 'v1'): Promise<string[]> {
  const [answer] = await reflect(client, [{ case: 'listServices', value: '' }], version);
  if (answer?.messageResponse.case !== 'listServicesResponse') throw new Error('no list of services');
  return answer.messageResponse.value.service.map(({ name }) => name);
}

/** Everything that is needed to call `symbol`. */
async function learn(client: Client, symbol: string): Promise<FileRegistry> {
  const [answer] = await reflect(client, [{ case: 'fileContainingSymbol', value: symbol }]);
  if (answer?.messageResponse.case !== 'fileDescriptorResponse') throw new Error(`nothing about ${symbol}`);
  // What was asked for comes first, and is read last: a registry wants what it needs before it.
  const file: FileDescriptorProto[] = answer.messageResponse.value.fileDescriptorProto
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
    .toReversed();
  return createFileRegistry(create(FileDescriptorSetSchema, { file }));
}

describe('reflection', () => {
  it.each(VERSIONS)('lists the services of each endpoint (%s)', async (version) => {
    expect(await listed(await operator(), version)).toEqual([
      'wasmmatrix.v1.Bus',
      'wasmmatrix.v1.State',
      'wasmmatrix.v1.Enrolment',
      'wasmmatrix.v1.Operator',
      'wasmmatrix.v1.Agent',
      ...STANDARD,
    ]);
    expect(await listed(await operator(NODE), version)).toEqual(['wasmmatrix.v1.Node', ...STANDARD]);
  });

  it('describes enough to make a call and read its answer', async () => {
    const client = await operator();
    const registry = await learn(client, 'wasmmatrix.v1.Operator');
    const method: DescMethod = registry.getService('wasmmatrix.v1.Operator')!.method['query']!;
    const request = toBinary(method.input, create(method.input, { kind: 'nodes' }));
    const answer = await call(client, `/${method.parent.typeName}/${method.name}`, request);
    expect(toJson(method.output, fromBinary(method.output, answer as Buffer))).toEqual({ term: '3', nodes: {} });
  });

  it('finds methods, messages and files by name, and says what is not there, each in its turn', async () => {
    const answers = await reflect(await operator(), [
      { case: 'fileContainingSymbol', value: 'wasmmatrix.v1.Enrolment.Enrol' },
      { case: 'fileContainingSymbol', value: 'wasmmatrix.v1.NodeFacts' },
      { case: 'fileByFilename', value: 'wasmmatrix/v1/common.proto' },
      { case: 'fileContainingSymbol', value: 'wasmmatrix.v1.Enrolment.Dance' },
      { case: 'fileByFilename', value: 'etc/passwd' },
      { case: undefined },
    ]);
    const first = answers.map(({ messageResponse }) => {
      if (messageResponse.case === 'errorResponse') return messageResponse.value.errorCode;
      if (messageResponse.case !== 'fileDescriptorResponse') return messageResponse.case;
      return fromBinary(FileDescriptorProtoSchema, messageResponse.value.fileDescriptorProto[0]!).name;
    });
    expect(first).toEqual([
      'wasmmatrix/v1/enrolment.proto',
      'wasmmatrix/v1/common.proto',
      'wasmmatrix/v1/common.proto',
      status.NOT_FOUND,
      status.NOT_FOUND,
      status.INVALID_ARGUMENT,
    ]);
  });

  it('needs a certificate', async () => {
    await expect(listed(clientOf(null))).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
      details: expect.stringContaining('needs a certificate, and this connection shows none') as string,
    });
  });
});

const probe = (service: string): Uint8Array => toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
const statusIn = (bytes: Buffer): string => HealthCheckResponse_ServingStatus[fromBinary(HealthCheckResponseSchema, bytes).status];

async function check(client: Client, service: string): Promise<string> {
  const answer = await call(client, '/grpc.health.v1.Health/Check', probe(service));
  return Buffer.isBuffer(answer) ? statusIn(answer) : `error ${answer.code}`;
}

describe('health', () => {
  it('is told to anybody, for each service and for the whole process', async () => {
    const client = clientOf(null);
    expect(await check(client, '')).toBe('SERVING');
    expect(await check(client, 'wasmmatrix.v1.Operator')).toBe('SERVING');
    expect(await check(client, 'wasmmatrix.v1.Oracle')).toBe(`error ${status.NOT_FOUND}`);
    server.setServing('', false);
    expect(await check(client, '')).toBe('NOT_SERVING');
    expect(await check(client, 'wasmmatrix.v1.Operator')).toBe('SERVING');
    const all = fromBinary(HealthListResponseSchema, (await call(client, '/grpc.health.v1.Health/List', new Uint8Array(0))) as Buffer);
    expect(Object.keys(all.statuses)).toContain('wasmmatrix.v1.Node');
    expect(all.statuses['']?.status).toBe(HealthCheckResponse_ServingStatus.NOT_SERVING);
  });

  it('can be watched: now, at each change, and until the listener closes', async () => {
    const stream: ClientReadableStream<Buffer> = clientOf(null).makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      asIs,
      asIs,
      Buffer.from(probe('wasmmatrix.v1.Bus')),
    );
    const heard: string[] = [];
    const next = async (): Promise<void> => {
      const [bytes] = (await new Promise((resolve) => stream.once('data', (data: Buffer) => resolve([data])))) as [Buffer];
      heard.push(statusIn(bytes));
    };
    await next();
    server.setServing('wasmmatrix.v1.Bus', false);
    await next();
    server.setServing('wasmmatrix.v1.Bus', true);
    await next();
    expect(heard).toEqual(['SERVING', 'NOT_SERVING', 'SERVING']);
    const ended = new Promise((resolve) => stream.once('status', ({ code }: { code: status }) => resolve(code)));
    stream.resume();
    await server.close();
    expect(await ended).toBe(status.OK);
  });

  it('of a service that is not there is told to those who watch, who hear when it comes', async () => {
    const stream: ClientReadableStream<Buffer> = clientOf(null).makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      asIs,
      asIs,
      Buffer.from(probe('late')),
    );
    stream.on('error', () => {});
    const next = (): Promise<string> => new Promise((resolve) => stream.once('data', (data: Buffer) => resolve(statusIn(data))));
    expect(await next()).toBe('SERVICE_UNKNOWN');
    const came = next();
    server.setServing('late', true);
    expect(await came).toBe('SERVING');
    stream.cancel();
  });
});
