// What can be set of a controller and of an agent. The reference page (docs/reference/configuration.md) and the profiles of
// hardware/deploy are held to these tables by tests.
import { ISA_AUTO, ISA_LEVEL_NAMES } from '../../system/domain/isa.ts';
import type { SettingsTable } from './settings.ts';

const CONTROLLER_PORT = 7420;
const CONTROLLER_ADMIN_PORT = 7421;

const LOG: SettingsTable = {
  'log.level': { kind: 'choice', of: ['debug', 'info', 'warn', 'error'], fallback: 'info', what: 'Least level of the lines in the log.' },
  'log.format': {
    kind: 'choice',
    of: ['auto', 'json', 'text'],
    fallback: 'auto',
    what: 'Form of the log on stderr: one JSON object a line, or text for people; auto is text on a terminal and JSON elsewhere.',
  },
  'log.records': {
    kind: 'path',
    fallback: null,
    what: 'Every record as a JSON line into this file, for tools that judge runs. It grows with the load.',
  },
};

const KEEPALIVE: SettingsTable = {
  keepalive: {
    kind: 'duration',
    fallback: '10s',
    what: 'Silence of a connection after which its other end is asked whether it is there, at least 1s; with no answer for half as long again, the connection is lost.',
  },
};

const NATS: SettingsTable = {
  'nats.servers': { kind: 'words', fallback: null, what: 'Servers, such as nats://nats-1:4222; one that answers is enough.' },
  'nats.monitors': {
    kind: 'words',
    fallback: null,
    what: 'Their monitoring addresses, such as http://nats-1:8222: asked at the start whether the servers sync what they acknowledge.',
  },
  'nats.acceptLossAtPowerCut': {
    kind: 'yes',
    fallback: 'no',
    what: 'Goes on although the servers do not sync each write, or cannot be asked: a power cut may then lose what was acknowledged.',
  },
  'nats.user': { kind: 'text', fallback: null, what: 'User of the controller at NATS.' },
  'nats.password': { kind: 'text', fallback: null, secret: true, what: 'His password; better in the environment than in a flag.' },
  'nats.credentials': {
    kind: 'path',
    fallback: null,
    what: 'File with the credentials of the controller, as `nsc` writes it, instead of user and password.',
  },
  'nats.agentUser': {
    kind: 'text',
    fallback: null,
    fallbackWords: 'that of the controller',
    what: 'User that agents are told when they join. He needs no right to make streams.',
  },
  'nats.agentPassword': {
    kind: 'text',
    fallback: null,
    fallbackWords: 'that of the controller',
    secret: true,
    what: 'Password that agents are told.',
  },
  'nats.prefix': {
    kind: 'name',
    fallback: 'wasmmatrix',
    what: 'Beginning of all names at NATS; two platforms on one account differ in it.',
  },
  'nats.replicas': {
    kind: 'count',
    min: 1,
    max: 5,
    fallback: '1',
    what: 'Servers of a cluster that keep each event and record: 1, 3 or 5.',
  },
};

export const CONTROLLER_SETTINGS: SettingsTable = {
  data: {
    kind: 'path',
    fallback: null,
    fallbackWords: '`wasmmatrix/controller` in `$XDG_DATA_HOME`, else in `~/.local/share`',
    what: 'Folder of everything that must survive: journal, modules, keys, certificates, tokens.',
  },
  listen: {
    kind: 'address',
    fallback: `127.0.0.1:${CONTROLLER_PORT}`,
    what: 'Where agents and operators are served. An address that other machines reach is needed for agents on them.',
  },
  advertise: {
    kind: 'addresses',
    fallback: null,
    fallbackWords: 'the address that it listens on',
    what: 'Addresses under which others reach it; they stand in join tokens, contexts and the certificate. Needed when it listens on every interface.',
  },
  admin: {
    kind: 'address',
    fallback: `127.0.0.1:${CONTROLLER_ADMIN_PORT}`,
    what: 'Where /metrics, /healthz and /readyz are served, without a certificate. Port 0 takes a free one.',
  },
  heartbeat: { kind: 'duration', fallback: '500ms', what: 'Interval of the heartbeats that agents are asked for.' },
  suspect: { kind: 'duration', fallback: '1500ms', what: 'Silence after which a node gets nothing new.' },
  unavailable: { kind: 'duration', fallback: '3s', what: 'Silence after which the work of a node is placed elsewhere.' },
  lease: {
    kind: 'duration',
    fallback: '2500ms',
    what: 'Time out of touch after which an agent stops movable work; shorter than unavailable.',
  },
  ...KEEPALIVE,
  queue: {
    kind: 'count',
    min: 1,
    max: 10_000_000,
    fallback: '10000',
    what: 'Bound: events that the embedded broker holds for its consumers.',
  },
  drain: { kind: 'duration', fallback: '10s', what: 'Bound: time that stopping in order may take.' },
  bus: {
    kind: 'choice',
    of: ['embedded', 'nats'],
    fallback: 'embedded',
    what: 'What carries events: the broker in the controller, or NATS JetStream, which agents then reach directly.',
  },
  store: {
    kind: 'choice',
    of: ['folder', 'nats'],
    fallback: 'folder',
    what: 'Where journal, modules and state are kept: in the folder `data`, or on NATS JetStream, where a second controller may stand by.',
  },
  restored: {
    kind: 'yes',
    fallback: 'no',
    what: 'For the first start after an older copy of the store was put in place: agents refuse a controller that is older than what they have seen, and follow this one all the same.',
  },
  name: {
    kind: 'name',
    fallback: null,
    fallbackWords: "the machine's host name",
    what: 'What a standby calls this controller, when the store is on NATS.',
  },
  keys: {
    kind: 'path',
    fallback: null,
    fallbackWords: '`keys` in `data`',
    what: 'Folder with the keys of the authority and of the controller. Controllers that stand by for each other have the same keys.',
  },
  leaderLease: {
    kind: 'duration',
    fallback: '10s',
    what: 'Silence of the leader after which a standby takes over, when the store is on NATS; from 1s to 10m.',
  },
  ...NATS,
  ...LOG,
};

export const AGENT_SETTINGS: SettingsTable = {
  join: {
    kind: 'text',
    fallback: null,
    secret: true,
    what: 'Join token that `wasmmatrix up` printed. Needed at the first start only.',
  },
  name: {
    kind: 'name',
    fallback: null,
    fallbackWords: "the machine's host name",
    what: 'Name of the node, one of its own on each control plane.',
  },
  data: {
    kind: 'path',
    fallback: null,
    fallbackWords: '`wasmmatrix/agents/<name>` in `$XDG_DATA_HOME`, else in `~/.local/share`',
    what: 'Folder of the identity, the compiled modules and what the node is to run.',
  },
  zone: { kind: 'zone', fallback: 'local', what: 'Where the node is, most general first: cloud/eu-west, fleet/truck-7.' },
  faultDomain: {
    kind: 'zone',
    fallback: null,
    fallbackWords: 'zone and name',
    what: 'What fails together with the node, most general first: cloud/eu-west/rack-3.',
  },
  location: { kind: 'point', fallback: '0,0', what: 'Latitude and longitude of the node.' },
  locationFile: {
    kind: 'path',
    fallback: null,
    fallbackWords: 'none: the node stays where it is',
    what: 'File with latitude and longitude, read once a second, for a node that moves.',
  },
  cores: { kind: 'count', min: 1, max: 4_096, fallback: null, fallbackWords: 'those of the machine', what: 'Cores that guests may use.' },
  memory: {
    kind: 'size',
    fallback: null,
    fallbackWords: 'half of what the machine has',
    what: 'Memory that guests may use.',
  },
  speed: {
    kind: 'count',
    min: 1,
    max: 1_000_000,
    fallback: null,
    fallbackWords: 'as fast as the machine is',
    what: 'Bound: fuel that one guest uses in a microsecond, about one for each simple instruction; who was faster waits.',
  },
  isa: {
    kind: 'choice',
    of: [ISA_AUTO, ...ISA_LEVEL_NAMES],
    fallback: ISA_AUTO,
    what: 'ISA feature level: the most that code for this node may use; auto is what the machine has.',
  },
  hardware: { kind: 'words', fallback: '', what: 'Special hardware of the node, such as can,gpu.' },
  listen: {
    kind: 'address',
    fallback: '127.0.0.1:0',
    what: "Where the node's own service is: pings of other nodes, status, metrics. Port 0 takes a free one.",
  },
  advertise: {
    kind: 'addresses',
    fallback: null,
    fallbackWords: 'the address that it listens on',
    what: 'Addresses under which other nodes reach it; they try them in this order.',
  },
  admin: {
    kind: 'address',
    fallback: '127.0.0.1:0',
    what: 'Where /metrics, /healthz and /readyz are served, without a certificate. Port 0 takes a free one.',
  },
  controllers: {
    kind: 'addresses',
    fallback: null,
    fallbackWords: 'those of the join token',
    what: 'Addresses of the controllers, when they have changed since the node joined.',
  },
  drain: { kind: 'duration', fallback: '10s', what: 'Bound: time that stopping in order may take.' },
  ...KEEPALIVE,
  ...LOG,
};
