// Codec of grpc.health, by which load balancers and Kubernetes ask whether something serves.
import type { Outcome } from '../../domain/outcome.ts';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
} from '../generated/grpc/health/v1/health_pb.js';
import { decodeWith, encodeWith, text } from './fields.ts';

/** Null: no such service. */
export type Serving = boolean | null;

const statusOf = (serving: Serving): Status => (serving === null ? Status.SERVICE_UNKNOWN : serving ? Status.SERVING : Status.NOT_SERVING);

export function decodeHealthRequest(bytes: Uint8Array): Outcome<string> {
  return decodeWith(HealthCheckRequestSchema, bytes, ({ service }) => text(service, 'service'));
}

export function encodeHealthReply(serving: Serving): Uint8Array {
  return encodeWith(HealthCheckResponseSchema, { status: statusOf(serving) });
}

export function encodeHealthList(statuses: Iterable<readonly [service: string, serving: boolean]>): Uint8Array {
  const entries = [...statuses].map(([service, serving]) => [service, { status: statusOf(serving) }] as const);
  return encodeWith(HealthListResponseSchema, { statuses: Object.fromEntries(entries) });
}
