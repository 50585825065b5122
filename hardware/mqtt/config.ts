// What a gateway is configured with, and all that can be said about it before the first message comes.
import { isName } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { BrokerAddress } from './link.ts';
import { compileInbound, compileOutbound, type InboundRoute, type OutboundRoute, type SubjectMapping, type TopicMapping } from './route.ts';
import { overlaps } from './topic.ts';

/** Bound: routes of one gateway, in each direction. */
export const ROUTES_MAX = 64;
export type GatewayConfig = {
  /** A name as of a DNS label, up to 32 characters: part of the names of its consumers. */
  readonly name: string;
  readonly broker: BrokerAddress;
  readonly inbound: readonly InboundRoute[];
  readonly outbound: readonly OutboundRoute[];
  /** Where a restart finds which messages came before; null: nowhere. */
  readonly receiptsFile: string | null;
};

export type GatewayStatus = {
  readonly state: 'connecting' | 'connected' | 'ended';
  /** Why there is no connection; null while there is one. */
  readonly cause: string | null;
  /** Why the bus takes nothing at present. */
  readonly held: string | null;
};

const NAME_LENGTH_MAX = 32;

type Compiled = {
  readonly inbound: readonly TopicMapping[];
  readonly outbound: readonly { readonly route: OutboundRoute; readonly mapping: SubjectMapping }[];
};
/** With `mqtt-`, the name of the gateway and a hyphen, the name of a consumer must be a DNS label. */
const ROUTE_NAME_LENGTH_MAX = 63 - 'mqtt-'.length - NAME_LENGTH_MAX - 1;

/** All that can be said about routes before a message comes. */
export function compileRoutes({ name, inbound, outbound }: Pick<GatewayConfig, 'name' | 'inbound' | 'outbound'>): Outcome<Compiled> {
  const wrong = (message: string, next: string): Outcome<never> => rejected('WM_ARGUMENT', { message, next });
  if (!isName(name) || name.length > NAME_LENGTH_MAX)
    return wrong(`'${name}' is no name of a gateway.`, `Use up to ${NAME_LENGTH_MAX} lower-case letters, digits and inner hyphens.`);
  if (inbound.length + outbound.length === 0)
    return wrong(`The gateway ${name} has no route.`, 'Give it at least one, inbound or outbound.');
  if (inbound.length > ROUTES_MAX || outbound.length > ROUTES_MAX)
    return wrong(`The gateway ${name} has more than ${ROUTES_MAX} routes in one direction.`, 'Use wildcards, or a second gateway.');
  for (const [i, route] of inbound.entries()) {
    const other = inbound.slice(0, i).find(({ topics }) => overlaps(topics, route.topics));
    if (other !== undefined)
      return wrong(
        `The routes '${other.topics}' and '${route.topics}' may match the same topic.`,
        'Make them exclude each other, so that each message is taken once.',
      );
  }
  for (const [i, route] of outbound.entries()) {
    if (!isName(route.name) || route.name.length > ROUTE_NAME_LENGTH_MAX)
      return wrong(
        `'${route.name}' is no name of a route.`,
        `Use up to ${ROUTE_NAME_LENGTH_MAX} lower-case letters, digits and inner hyphens.`,
      );
    if (outbound.slice(0, i).some((other) => other.name === route.name))
      return wrong(
        `Two outbound routes are called '${route.name}'.`,
        'Give each a name of its own: it is the name of its place in the stream.',
      );
  }
  const mappings: TopicMapping[] = [];
  for (const route of inbound) {
    const compiled = compileInbound(route);
    if (!compiled.ok) return compiled;
    mappings.push(compiled.value);
  }
  const sending: { readonly route: OutboundRoute; readonly mapping: SubjectMapping }[] = [];
  for (const route of outbound) {
    const compiled = compileOutbound(route);
    if (!compiled.ok) return compiled;
    sending.push({ route, mapping: compiled.value });
  }
  return ok({ inbound: mappings, outbound: sending });
}
