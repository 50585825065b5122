// The methods of the protocol, and which of them are streams: a gRPC server must know before the first byte. A test holds the
// list equal to the paths that `system/domain` names.
import {
  CONSUMER_METHOD,
  FETCH_EVENTS_METHOD,
  PUBLISH_METHOD,
  SETTLE_METHOD,
  STATE_GET_METHOD,
  STATE_PUT_METHOD,
} from '../../system/domain/broker.ts';
import { ENROL_METHOD, RENEW_METHOD, REVOKE_METHOD, TOKENS_METHOD } from '../../system/domain/enrolment.ts';
import { METRICS_METHOD, PING_METHOD, START_METHOD, STATUS_METHOD, STOP_METHOD } from '../../system/domain/node-service.ts';
import { EXECUTE_METHOD, LOGS_METHOD, QUERY_METHOD, WATCH_METHOD } from '../../system/domain/operator.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { FETCH_METHOD, SESSION_METHOD } from '../../system/domain/session.ts';
import { SERVICES } from '../../system/wire/codec/reflection.ts';
import { HEALTH_METHODS } from './standard.ts';

export type Methods = { readonly calls: readonly string[]; readonly streams: readonly string[] };

export const PROTOCOL_METHODS: Methods = {
  calls: [
    EXECUTE_METHOD,
    QUERY_METHOD,
    FETCH_METHOD,
    PING_METHOD,
    STATUS_METHOD,
    METRICS_METHOD,
    STOP_METHOD,
    START_METHOD,
    PUBLISH_METHOD,
    CONSUMER_METHOD,
    FETCH_EVENTS_METHOD,
    SETTLE_METHOD,
    STATE_GET_METHOD,
    STATE_PUT_METHOD,
    ENROL_METHOD,
    RENEW_METHOD,
    REVOKE_METHOD,
    TOKENS_METHOD,
  ],
  streams: [SESSION_METHOD, WATCH_METHOD, LOGS_METHOD],
};

/** What a peer without a certificate may call. */
export const OPEN_METHODS: readonly string[] = [ENROL_METHOD, ...HEALTH_METHODS];

const NODE_SERVICE = 'wasmmatrix.v1.Node';

/** Full names of the services of an endpoint: a node's are on its own, the others on the controller's. */
export function servicesOf(endpoint: Endpoint): readonly string[] {
  return SERVICES.filter((service) => (service === NODE_SERVICE) === endpoint.startsWith('agent/'));
}
