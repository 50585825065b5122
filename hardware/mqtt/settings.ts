// The file of a gateway: broker, routes, and where it keeps its receipts. Every mistake is noted with its place, and all are told
// together; what a value means together with others (routes that overlap, plain text to another machine) is checked here too,
// so that a gateway that starts has nothing left to complain of but the world.
import { readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import type { SubjectFilter } from '../../system/domain/identifiers.ts';
import { isName } from '../../system/domain/identifiers.ts';
import { ok, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { isSubjectFilter } from '../../system/domain/subject.ts';
import { compileRoutes, type GatewayConfig } from './config.ts';
import type { InboundRoute, OutboundRoute } from './route.ts';

/** A parsed file that knows where its values stand; the composition root brings it. */
export type GatewayFile = {
  readonly faulty: boolean;
  value(): unknown;
  mistake(path: readonly (string | number)[], text: string, at?: 'value' | 'key'): void;
  error(): Err;
};

type Path = readonly (string | number)[];
type Kind =
  | { readonly kind: 'name' | 'text' | 'path' | 'duration' | 'yes' | 'broker' | 'filter' }
  | { readonly kind: 'count'; readonly min: number; readonly max: number };
type Field = Kind & { readonly isRequired?: true };
type Fields = Readonly<Record<string, Field>>;

const RECEIVE_MAXIMUM = 64;
/** Bound: messages of at most 2 MiB that wait here for the bus. */
const RECEIVE_MAXIMUM_MAX = 1_024;
const KEEP_ALIVE_S = 30;
const SESSION_EXPIRY_S = 7 * 86_400;
const RECEIPTS = 'receipts';
const UNITS_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
/** Bounds of the protocol: two bytes of keep-alive, four of session expiry. */
const KEEP_ALIVE_S_MAX = 65_535;
const SESSION_EXPIRY_S_MAX = 4_294_967_294;

const TOP: Fields = { gateway: { kind: 'name', isRequired: true }, dataFolder: { kind: 'path' } };
const LEVELS = ['broker', 'inbound', 'outbound'] as const;
const BROKER: Fields = {
  url: { kind: 'broker', isRequired: true },
  clientId: { kind: 'text' },
  username: { kind: 'text' },
  passwordFile: { kind: 'path' },
  authorityFile: { kind: 'path' },
  certificateFile: { kind: 'path' },
  keyFile: { kind: 'path' },
  keepAlive: { kind: 'duration' },
  sessionExpiry: { kind: 'duration' },
  receiveMaximum: { kind: 'count', min: 1, max: RECEIVE_MAXIMUM_MAX },
  plainText: { kind: 'yes' },
};
const INBOUND: Fields = { topics: { kind: 'text', isRequired: true }, subject: { kind: 'text' } };
const OUTBOUND: Fields = {
  name: { kind: 'name', isRequired: true },
  subjects: { kind: 'filter', isRequired: true },
  topic: { kind: 'text' },
  retain: { kind: 'yes' },
};

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

/** `password` is what the environment says, instead of a file. */
export function readGatewayFile(
  file: GatewayFile,
  options: { readonly folder: string; readonly password: string | null },
): Outcome<GatewayConfig> {
  if (file.faulty) return file.error();
  const value = file.value();
  if (!isRecord(value)) {
    file.mistake([], 'expected the settings of a gateway: gateway, broker, inbound, outbound');
    return file.error();
  }
  const top = fieldsOf(file, value, [], TOP, LEVELS);
  const broker = isRecord(value['broker']) ? fieldsOf(file, value['broker'], ['broker'], BROKER) : {};
  if (value['broker'] === undefined) file.mistake([], `'broker' is missing`);
  else if (!isRecord(value['broker']))
    file.mistake(['broker'], 'expected the address of the broker and how to get in: url, username and the like');
  const inbound = listOf(file, value, 'inbound', INBOUND).map(inboundOf);
  const outbound = listOf(file, value, 'outbound', OUTBOUND).map(outboundOf);
  if (file.faulty) return file.error();
  const pathOf = (name: string): string | null => {
    const given = broker[name];
    return typeof given === 'string' ? (isAbsolute(given) ? given : resolve(options.folder, given)) : null;
  };
  const textOf = (name: string): string | null => {
    const path = pathOf(name);
    return path === null ? null : readText(file, ['broker', name], path);
  };
  const name = String(top['gateway']);
  const dataFolder = top['dataFolder'];
  const config: GatewayConfig = {
    name,
    broker: {
      url: String(broker['url']),
      clientId: String(broker['clientId'] ?? `wasmmatrix-${name}`),
      username: typeof broker['username'] === 'string' ? broker['username'] : null,
      password: textOf('passwordFile')?.replace(/\r?\n$/, '') ?? options.password,
      authority: textOf('authorityFile'),
      certificate: textOf('certificateFile'),
      privateKey: textOf('keyFile'),
      keepAliveS: Number(broker['keepAlive'] ?? KEEP_ALIVE_S),
      sessionExpiryS: Number(broker['sessionExpiry'] ?? SESSION_EXPIRY_S),
      receiveMaximum: Number(broker['receiveMaximum'] ?? RECEIVE_MAXIMUM),
    },
    inbound,
    outbound,
    receiptsFile: typeof dataFolder === 'string' ? join(resolve(options.folder, dataFolder), RECEIPTS) : null,
  };
  checkBroker(file, config, broker);
  checkRoutes(file, config);
  return file.faulty ? file.error() : ok(config);
}

function checkBroker(file: GatewayFile, { broker }: GatewayConfig, given: Values): void {
  const { protocol, hostname } = new URL(broker.url);
  const isPlain = protocol === 'mqtt:';
  if (isPlain && !isLoopback(hostname) && given['plainText'] !== true)
    file.mistake(
      ['broker', 'url'],
      `${broker.url} would send messages and password in plain text to another machine; use mqtts://, or say plainText: true beside it`,
    );
  if (isPlain && (broker.authority !== null || broker.certificate !== null))
    file.mistake(['broker', 'url'], `${broker.url} is plain text and needs no certificate; use mqtts://, or leave the certificates out`);
  if ((broker.certificate === null) !== (broker.privateKey === null))
    file.mistake(['broker'], 'certificateFile and keyFile belong together: give both or neither');
  if (broker.password !== null && broker.username === null) file.mistake(['broker'], 'a password needs a username');
  if (broker.keepAliveS > KEEP_ALIVE_S_MAX || broker.keepAliveS < 1)
    file.mistake(['broker', 'keepAlive'], `expected from 1s to ${KEEP_ALIVE_S_MAX}s`);
  if (broker.sessionExpiryS > SESSION_EXPIRY_S_MAX || broker.sessionExpiryS < 1)
    file.mistake(
      ['broker', 'sessionExpiry'],
      'expected from 1s to 49710d; without a session messages would be lost while the gateway is away',
    );
}

/** Each route by itself, and with those before it that are right. */
function checkRoutes(file: GatewayFile, { name, inbound, outbound }: GatewayConfig): void {
  if (inbound.length + outbound.length === 0) file.mistake([], 'the gateway has no route: give it at least one under inbound or outbound');
  const rightIn: InboundRoute[] = [];
  for (const [i, route] of inbound.entries()) {
    const compiled = compileRoutes({ name, inbound: [...rightIn, route], outbound: [] });
    if (compiled.ok) rightIn.push(route);
    else file.mistake(['inbound', i], `${compiled.error.message} ${compiled.error.next}`);
  }
  const rightOut: OutboundRoute[] = [];
  for (const [i, route] of outbound.entries()) {
    const compiled = compileRoutes({ name, inbound: [], outbound: [...rightOut, route] });
    if (compiled.ok) rightOut.push(route);
    else file.mistake(['outbound', i], `${compiled.error.message} ${compiled.error.next}`);
  }
}

function inboundOf(values: Values): InboundRoute {
  return { topics: String(values['topics']), subject: typeof values['subject'] === 'string' ? values['subject'] : null };
}

function outboundOf(values: Values): OutboundRoute {
  return {
    name: String(values['name']),
    subjects: String(values['subjects']) as SubjectFilter,
    topic: typeof values['topic'] === 'string' ? values['topic'] : null,
    retain: values['retain'] === true,
  };
}

function listOf(file: GatewayFile, value: Readonly<Record<string, unknown>>, level: string, fields: Fields): readonly Values[] {
  const list = value[level];
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) {
    file.mistake([level], 'expected a list of routes, each after a hyphen');
    return [];
  }
  return list.map((route: unknown, i) => {
    if (isRecord(route)) return fieldsOf(file, route, [level, i], fields);
    file.mistake([level, i], `expected a route with ${Object.keys(fields).join(', ')}`);
    return {};
  });
}

function fieldsOf(
  file: GatewayFile,
  value: Readonly<Record<string, unknown>>,
  path: Path,
  fields: Fields,
  levels: readonly string[] = [],
): Values {
  const read: Record<string, string | number | boolean | undefined> = {};
  const known = [...Object.keys(fields), ...levels];
  for (const [name, given] of Object.entries(value)) {
    const field = fields[name];
    if (field === undefined) {
      if (!levels.includes(name)) file.mistake([...path, name], `unknown field '${name}'; expected one of: ${known.join(', ')}`, 'key');
      continue;
    }
    const parsed = parse(field, given);
    if (parsed === undefined) file.mistake([...path, name], `found ${JSON.stringify(given)}, expected ${expectationOf(field)}`);
    else read[name] = parsed;
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.isRequired === true && !(name in value)) file.mistake(path, `'${name}' is missing`);
  }
  return read;
}

function parse(field: Field, given: unknown): string | number | boolean | undefined {
  switch (field.kind) {
    case 'name':
      return typeof given === 'string' && isName(given) ? given : undefined;
    case 'text':
    case 'path':
      return typeof given === 'string' && given !== '' ? given : undefined;
    case 'yes':
      return typeof given === 'boolean' ? given : undefined;
    case 'filter':
      return typeof given === 'string' && isSubjectFilter(given) ? given : undefined;
    case 'broker':
      return typeof given === 'string' && isBrokerAddress(given) ? given : undefined;
    case 'count':
      return Number.isSafeInteger(given) && Number(given) >= field.min && Number(given) <= field.max ? Number(given) : undefined;
    case 'duration': {
      const match = typeof given === 'string' ? /^(\d{1,9})([smhd])$/.exec(given) : null;
      return match === null ? undefined : Number(match[1]) * (UNITS_S[match[2] ?? ''] ?? 0);
    }
  }
}

function expectationOf(field: Field): string {
  switch (field.kind) {
    case 'name':
      return 'a name of lower-case letters, digits and inner hyphens';
    case 'text':
      return 'a text';
    case 'path':
      return 'a path';
    case 'yes':
      return 'true or false';
    case 'filter':
      return 'a filter of subjects such as alerts.> or alerts.*.high';
    case 'broker':
      return 'mqtts://host:port, or mqtt://host:port for plain text, without user name and password in it';
    case 'count':
      return `a whole number from ${field.min} to ${field.max}`;
    case 'duration':
      return 'a duration such as 30s, 5m, 12h or 7d';
  }
}

/** No user name and no password in it: addresses stand in logs. */
function isBrokerAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, pathname, search } = new URL(text);
  return (
    ['mqtt:', 'mqtts:'].includes(protocol) &&
    hostname !== '' &&
    username === '' &&
    password === '' &&
    ['', '/'].includes(pathname) &&
    search === ''
  );
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function readText(file: GatewayFile, path: Path, name: string): string | null {
  try {
    return readFileSync(name, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    file.mistake(path, `the file ${name} cannot be read (${why})`);
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
