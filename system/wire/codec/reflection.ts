// Answers of grpc.reflection, which tells stock clients what services there are and what their messages look like, from the
// generated descriptors. v1 and v1alpha differ in their names only, so one schema reads both.
import { createRegistry, toBinary, type DescFile, type DescService, type MessageInitShape, type Registry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Outcome } from '../../domain/outcome.ts';
import { file_grpc_health_v1_health } from '../generated/grpc/health/v1/health_pb.js';
import {
  file_grpc_reflection_v1_reflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../generated/grpc/reflection/v1/reflection_pb.js';
import { file_grpc_reflection_v1alpha_reflection } from '../generated/grpc/reflection/v1alpha/reflection_pb.js';
import { file_wasmmatrix_v1_broker } from '../generated/wasmmatrix/v1/broker_pb.js';
import { file_wasmmatrix_v1_enrolment } from '../generated/wasmmatrix/v1/enrolment_pb.js';
import { file_wasmmatrix_v1_node } from '../generated/wasmmatrix/v1/node_pb.js';
import { file_wasmmatrix_v1_operator } from '../generated/wasmmatrix/v1/operator_pb.js';
import { file_wasmmatrix_v1_session } from '../generated/wasmmatrix/v1/session_pb.js';
import { decodeWith, encodeWith } from './fields.ts';

/** Bound: characters of a name that is asked for, repeated in an answer. */
const NAME_LENGTH_SHOWN = 200;
type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;

const STANDARD: readonly DescFile[] = [
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];
const OWN: readonly DescFile[] = [
  file_wasmmatrix_v1_broker,
  file_wasmmatrix_v1_enrolment,
  file_wasmmatrix_v1_node,
  file_wasmmatrix_v1_operator,
  file_wasmmatrix_v1_session,
];

const namesOf = (files: readonly DescFile[]): string[] => files.flatMap(({ services }) => services).map(({ typeName }) => typeName);

/** Full names of our services. */
export const SERVICES: readonly string[] = namesOf(OWN);

export class Reflection {
  readonly #services: readonly string[];
  readonly #files: readonly DescFile[];
  readonly #registry: Registry;

  /** Lists these of our services, and the standard ones; describes whatever there is. */
  constructor(services: readonly string[]) {
    this.#services = [...services, ...namesOf(STANDARD)];
    this.#files = withDependencies([...OWN, ...STANDARD]);
    this.#registry = createRegistry(...this.#files);
  }

  answer(bytes: Uint8Array): Outcome<Uint8Array> {
    return decodeWith(ServerReflectionRequestSchema, bytes, (request) =>
      encodeWith(ServerReflectionResponseSchema, {
        validHost: request.host,
        originalRequest: request,
        messageResponse: this.#responseTo(request.messageRequest),
      }),
    );
  }

  #responseTo({ case: asked, value }: { case: string | undefined; value?: unknown }): Answer {
    switch (asked) {
      case 'listServices':
        return { case: 'listServicesResponse', value: { service: this.#services.map((name) => ({ name })) } };
      case 'fileByFilename':
        return described(
          this.#files.find(({ proto }) => proto.name === value),
          value,
        );
      case 'fileContainingSymbol':
        return described(this.#fileOf(String(value)), value);
      case 'allExtensionNumbersOfType':
        return { case: 'allExtensionNumbersResponse', value: { baseTypeName: String(value), extensionNumber: [] } };
      case 'fileContainingExtension':
        return refused(NOT_FOUND, 'No message here has extensions.');
      default:
        return refused(INVALID_ARGUMENT, 'The request asks for nothing that this version knows.');
    }
  }

  /** Of a service, a method, a message or an enumeration, by its full name. */
  #fileOf(symbol: string): DescFile | undefined {
    const known = this.#registry.get(symbol);
    if (known !== undefined) return known.file;
    const dot = symbol.lastIndexOf('.');
    const owner: DescService | undefined = this.#registry.getService(symbol.slice(0, Math.max(0, dot)));
    return owner?.methods.some(({ name }) => name === symbol.slice(dot + 1)) ? owner.file : undefined;
  }
}

function described(file: DescFile | undefined, asked: unknown): Answer {
  if (file === undefined) return refused(NOT_FOUND, `Nothing is called '${String(asked).slice(0, NAME_LENGTH_SHOWN)}' here.`);
  const fileDescriptorProto = withDependencies([file]).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

const refused = (errorCode: number, errorMessage: string): Answer => ({
  case: 'errorResponse',
  value: { errorCode, errorMessage },
});

/** Each file once, those that were given first. */
function withDependencies(files: readonly DescFile[]): DescFile[] {
  const all = new Set<DescFile>(files);
  for (const file of all) for (const dependency of file.dependencies) all.add(dependency);
  return [...all];
}
