// Who may import whom: the table of docs/architecture.md as data. The first row that matches a file is its row; it may always
// import its own folder. To change a row, change the table of docs/architecture.md too and say why in docs/decisions/.

export type ImportRow = {
  /** Patterns of the files that the row is about. */
  readonly of: readonly string[];
  /** Files it may import, as patterns; `anything` for composition roots. */
  readonly may: readonly string[] | 'anything';
  /** Files it may import types from, nothing that runs. */
  readonly types?: readonly string[];
  /** Packages and Node modules it may import; a `*` at the end stands for any rest. */
  readonly packages: readonly string[];
  /** May load a module whose name is computed. */
  readonly computed?: true;
  readonly why: string;
};

const DOMAIN = 'system/domain/*';
const PORTS = 'system/ports/*';
const WIRE = 'system/wire/codec/*';
const MATHEMATICS = '@stdlib/math-base-special-*';
/** Parts of the product that are endpoints of their own, which a testbed starts, and the clients of them. */
const SERVICES = ['system/controller/**', 'system/bus/**', 'system/state/**', 'system/api/**'];
/** What those who are no part of the product speak to it with. */
const CLIENTS = ['system/api/**', 'system/bus/**', 'system/state/**'];
const COMPONENTS = [
  'nodes',
  'modules',
  'placement',
  'deployments',
  'events',
  'state',
  'supervision',
  'journal',
  'bus',
  'audit',
  'telemetry',
  'api',
].map((name) => `system/${name}/**`);

export const IMPORT_TABLE: readonly ImportRow[] = [
  {
    of: ['cli.ts', 'vitest.config.ts', '*/verbs.ts', '**/*.main.ts', 'sim/campaign/**'],
    may: 'anything',
    packages: ['*'],
    why: 'Composition roots join worlds and product; nothing imports them.',
  },
  { of: ['test/**'], may: 'anything', packages: ['*'], why: 'Tests look into everything; nothing imports them.' },
  { of: ['system/domain/**'], may: [], packages: [], why: 'The domain is the language of the product and knows no other part of it.' },
  { of: ['system/ports/**'], may: [DOMAIN], packages: [], why: 'A port says what the product asks of any world, in words of the domain.' },
  {
    of: ['system/wire/**'],
    may: [DOMAIN],
    packages: ['@bufbuild/protobuf', '@bufbuild/protobuf/*'],
    why: 'The wire turns the domain into bytes and back.',
  },
  {
    of: ['system/controller/**'],
    may: [DOMAIN, PORTS, ...COMPONENTS],
    packages: [],
    why: 'The controller composes the components; what bytes look like is the business of api, bus and journal.',
  },
  {
    of: ['system/api/**', 'system/bus/**', 'system/journal/**', 'system/state/**'],
    may: [DOMAIN, PORTS, WIRE],
    packages: [],
    why: 'These components speak to other processes or to disks, and so know the wire (docs/decisions/0001-state-speaks-wire.md).',
  },
  {
    of: ['system/**'],
    may: [DOMAIN, PORTS],
    packages: [MATHEMATICS],
    why: 'Components are joined by the controller and never know a sibling, so that each can be read and tested alone.',
  },
  {
    of: ['agents/**'],
    may: [DOMAIN, PORTS, WIRE],
    packages: [],
    why: 'An agent knows ports, not worlds, and speaks to the controller over the wire only.',
  },
  {
    of: ['sim/testbed/**', 'sim/testbed.ts'],
    may: [DOMAIN, PORTS, WIRE, 'sim/**', ...SERVICES, 'agents/agent.ts'],
    types: ['scenarios/*'],
    packages: [],
    why: 'A testbed composes its world with the doors of controller, broker, state store and agent, speaks to them as an operator does, and implements the interface of scenarios.',
  },
  {
    of: ['sim/kernel/**', 'sim/random/**'],
    may: [DOMAIN, PORTS, 'sim/kernel/**'],
    packages: ['seedrandom'],
    why: 'Time and chance come from the kernel; seedrandom seeds its streams.',
  },
  {
    of: ['sim/faults/**', 'sim/costs/**'],
    may: [DOMAIN, PORTS, 'sim/kernel/**'],
    types: ['scenarios/*', 'sim/**'],
    packages: [MATHEMATICS],
    why: 'Faults and costs are about the simulated ports and know their types; the testbed hands them the ports themselves.',
  },
  {
    of: ['sim/**'],
    may: [DOMAIN, PORTS, 'sim/kernel/**'],
    types: ['scenarios/*'],
    packages: [MATHEMATICS],
    why: 'A simulated port knows the kernel and no other port, no product and no real world.',
  },
  {
    of: ['hardware/testbed/**', 'hardware/testbed.ts'],
    may: [DOMAIN, PORTS, WIRE, 'hardware/**', ...SERVICES, 'agents/agent.ts'],
    types: ['scenarios/*'],
    packages: ['*'],
    why: 'A testbed composes its world with the doors of controller, broker, state store and agent, speaks to them as an operator does, and implements the interface of scenarios.',
  },
  {
    of: ['hardware/operator/**'],
    may: [DOMAIN, PORTS, WIRE, ...CLIENTS, 'hardware/**'],
    packages: ['*'],
    why: "An operator's tools speak to the product through its clients, as any other program would.",
  },
  {
    of: [
      'hardware/local/**',
      'hardware/qemu/**',
      'hardware/loop/**',
      'hardware/devices/**',
      'hardware/deploy/**',
      'hardware/debian/*.main.ts',
    ],
    may: [DOMAIN, 'hardware/**'],
    types: ['scenarios/*'],
    packages: ['*'],
    why: 'Targets start processes and machines; what runs there they do not know.',
  },
  {
    of: ['hardware/network/**'],
    may: [DOMAIN, PORTS, WIRE],
    packages: ['*'],
    why: 'The network answers enrolment itself, before the peer is anybody to the product (docs/decisions/0010-enrolment-on-the-same-port.md).',
  },
  {
    of: ['hardware/bus/**'],
    may: [DOMAIN, PORTS, 'hardware/nats/**'],
    packages: ['*'],
    why: 'The bus of production stands on the connection to NATS (docs/decisions/0008-jetstream-bus.md).',
  },
  {
    of: ['hardware/queue/**'],
    may: [DOMAIN, 'hardware/nats/**'],
    packages: ['*'],
    why: 'The queue of runs stands on the connection to NATS, and knows nothing of runs (docs/decisions/0018-work-queue.md).',
  },
  {
    of: ['hardware/wasm/build/**'],
    may: [DOMAIN, 'hardware/debian/**'],
    packages: ['*'],
    why: "The engine is built by the Rust of this machine, or by Debian's where there is none.",
  },
  {
    of: ['hardware/**'],
    may: [DOMAIN, PORTS],
    packages: ['*'],
    why: 'A real port meets Node and npm, and neither the product nor the simulator.',
  },
  {
    of: ['scenarios/examples/**'],
    may: [DOMAIN],
    packages: ['node:*', 'yaml', 'assemblyscript', 'assemblyscript/*'],
    computed: true,
    why: 'The compiler of the example guests is a tool that runs on Node beside the scenarios.',
  },
  {
    of: ['scenarios/**'],
    may: [DOMAIN],
    packages: ['yaml', 'ajv', 'ajv/*', MATHEMATICS],
    why: 'Scenarios say what is claimed, and no world or product stands behind the words.',
  },
  {
    of: ['reports/reporters/**'],
    may: ['system/domain/*', 'scenarios/record.ts'],
    packages: ['node:fs', 'node:fs/promises', 'node:path', 'node:url', 'node:process'],
    why: 'Reporters write what was summarised to a terminal or to files.',
  },
  {
    of: ['reports/**'],
    may: [DOMAIN, 'scenarios/record.ts'],
    packages: [],
    why: 'Reports read records and nothing else: a report of a stored run and of a live one are the same.',
  },
];

/** Every file of these folders is a door; elsewhere the file with the name of its folder is. */
export const ALL_DOORS: readonly { readonly folder: string; readonly why: string }[] = [
  { folder: 'system/domain', why: 'One file for each thing of the domain.' },
  { folder: 'system/ports', why: 'One file for each port, and for each way to use one that several need.' },
  { folder: 'system/wire/codec', why: 'One file for each family of messages.' },
];

/** Further doors, by name. */
export const NAMED_DOORS: readonly { readonly file: string; readonly why: string }[] = [
  { file: 'agents/agent.ts', why: 'The agent, in the singular.' },
  { file: 'scenarios/scenario.ts', why: 'What a scenario is.' },
  { file: 'scenarios/testbed.ts', why: 'What a world has to offer to a scenario.' },
  { file: 'scenarios/record.ts', why: 'What a run leaves behind.' },
  { file: 'scenarios/run.ts', why: 'What drives a world through a scenario.' },
];
