// The verbs of trust: keys that sign, keys that are trusted, modules that are pushed, tokens, logins and revocations.
// A composition root. Private keys stay in this user's folder; what leaves it is signatures.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseSize } from '../../scenarios/units.ts';
import { parseCapability } from '../../system/domain/capability.ts';
import { REVOKE_METHOD, TOKEN_ROLES, TOKENS_METHOD, type TokenRole, type TokensRequest } from '../../system/domain/enrolment.ts';
import { isName, type KeyId, type ModuleName } from '../../system/domain/identifiers.ts';
import { manifestText, type ModuleManifest } from '../../system/domain/module.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { whyOf } from '../../system/domain/why.ts';
import type { PublicKey } from '../../system/ports/keys.ts';
import { decodeRevokeReply, decodeTokensReply, encodeRevokeRequest, encodeTokensRequest } from '../../system/wire/codec/enrolment.ts';
import { FileKeys } from '../keys/keys.ts';
import { join as joinPlatform, saveIdentity } from '../network/network.ts';
import { configurationHome } from '../process/process.ts';
import { addCommon, collect, countFrom, print, printData, refuse, withOperator, type CommonOptions } from './console.main.ts';
import { checkModule, readModuleManifest, type Declared } from './module-file.main.ts';
import { formatTable, loginFile } from './operator.ts';

const FUEL_MAX = 100_000_000;
const FUEL_CEILING = Number.MAX_SAFE_INTEGER;
const MEMORY = '16MiB';
const OUTPUT = '64KiB';
const KEY_SUFFIX = '.key';
const PUBLIC_KEY_BYTES = 32;

function wrong(message: string, next: string): Outcome<never> {
  return rejected('WM_ARGUMENT', { message, next });
}

const keysFolder = (): string => join(configurationHome(process.env), 'keys');

/** A key that exists; signing with a name that was mistyped must not make a new one. */
async function existingKey(name: string): Promise<Outcome<PublicKey>> {
  if (!isName(name)) return wrong(`'${name}' is no name of a key.`, 'Use lower-case letters, digits and inner hyphens.');
  if (!existsSync(join(keysFolder(), `${name}${KEY_SUFFIX}`)))
    return wrong(
      `There is no key ${name} in ${keysFolder()}.`,
      `Make it with \`wasmmatrix keys create ${name}\`, or list them with \`wasmmatrix keys list\`.`,
    );
  return new FileKeys(keysFolder()).open(name);
}

const publicText = ({ publicKey }: PublicKey): string => Buffer.from(publicKey).toString('base64');

export function addKeys(program: Command): void {
  const keys = program
    .command('keys')
    .summary('make and show signing keys')
    .description('Signing keys of this user (Ed25519), in files that only he can read.');
  keys
    .command('create')
    .summary('make a key')
    .description('Makes a key pair. Trust it with `trust add`, sign modules with `push --sign`.')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      process.exitCode = await createKey(name);
    });
  keys
    .command('list')
    .summary('show the keys')
    .description('Shows the keys of this user with their public halves.')
    .option('--json', 'as JSON')
    .action(async (options: { readonly json?: true }) => {
      process.exitCode = await listKeys(options.json === true);
    });
}

async function createKey(name: string): Promise<number> {
  if (isName(name) && existsSync(join(keysFolder(), `${name}${KEY_SUFFIX}`))) {
    const known = wrong(`There is a key ${name} in ${keysFolder()} already.`, 'Choose another name; a key is never overwritten.');
    return known.ok ? 0 : refuse(known.error);
  }
  if (!isName(name)) {
    const bad = wrong(`'${name}' is no name of a key.`, 'Use lower-case letters, digits and inner hyphens.');
    return bad.ok ? 0 : refuse(bad.error);
  }
  const made = await new FileKeys(keysFolder()).open(name);
  if (!made.ok) return refuse(made.error);
  print(`key ${name} made: ${made.value.key}`);
  print(`  public half: ${publicText(made.value)}`);
  print(`  private half: ${join(keysFolder(), `${name}${KEY_SUFFIX}`)}; keep a copy where nobody else can read it`);
  return 0;
}

async function listKeys(json: boolean): Promise<number> {
  const folder = keysFolder();
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith(KEY_SUFFIX))
        .map((file) => file.slice(0, -KEY_SUFFIX.length))
        .sort()
    : [];
  const rows: { readonly name: string; readonly key: string; readonly publicKey: string }[] = [];
  for (const name of names) {
    const opened = await new FileKeys(folder).open(name);
    if (!opened.ok) return refuse(opened.error);
    rows.push({ name, key: opened.value.key, publicKey: publicText(opened.value) });
  }
  if (json) printData('json', rows);
  else if (rows.length === 0) process.stderr.write(`There are no keys in ${folder}. Make one with \`wasmmatrix keys create <name>\`.\n`);
  else
    for (const line of formatTable(
      rows,
      [
        { title: 'NAME', of: (row) => row.name },
        { title: 'KEY', of: (row) => row.key },
        { title: 'PUBLIC HALF', of: (row) => row.publicKey },
      ],
      { wide: false, titles: true },
    ).lines)
      print(line);
  return 0;
}

export function addTrust(program: Command): void {
  const trust = program
    .command('trust')
    .summary('say whose modules may run')
    .description('The keys whose signatures the platform believes. `get trust` shows them.');
  addCommon(
    trust
      .command('add')
      .summary('trust a key')
      .description(
        'Trusts a key of this user by its name, or any public key in base64. Its modules may have the capabilities that are named here, and no others; adding a key again replaces them.',
      )
      .argument('<key>', 'name of a key of this user, or a public key in base64')
      .option('--grant <capability>', "what its modules may have, such as 'publish:alerts.>'; may be repeated", collect)
      .option('--until <time>', 'when it expires, such as 2031-01-01T00:00:00Z: what it signed stops then', parseTime),
  ).action(async (key: string, options: TrustOptions) => {
    process.exitCode = await trustKey(key, options);
  });
  addCommon(
    trust
      .command('revoke')
      .summary('trust a key no longer')
      .description('Revokes a key: nothing that it signed is accepted or started any more.')
      .argument('<key>', 'name of a key of this user, or its identifier as `get trust` shows it'),
  ).action(async (key: string, options: CommonOptions) => {
    process.exitCode = await revokeKey(key, options);
  });
}

type TrustOptions = CommonOptions & { readonly grant?: readonly string[]; readonly until?: number };

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write a time such as 2031-01-01T00:00:00Z.');
  return ms;
}

async function trustKey(key: string, options: TrustOptions): Promise<number> {
  const bytes = Buffer.from(key, 'base64');
  const isPublic = bytes.length === PUBLIC_KEY_BYTES && bytes.toString('base64') === key;
  const own = isPublic ? null : await existingKey(key);
  if (own !== null && !own.ok) return refuse(own.error);
  const publicKey = own === null ? new Uint8Array(bytes) : own.value.publicKey;
  const mayGrant = [...new Set(options.grant ?? [])].sort();
  return withOperator(options, async (session) => {
    const until = options.until === undefined ? {} : { notAfterMs: options.until };
    const reply = await session.execute({ kind: 'trust-add', publicKey, mayGrant, ...until });
    if (!reply.ok) return refuse(reply.error);
    print(
      `key ${own === null ? key : `${key} (${own.value.key})`} is trusted; its modules may have ${mayGrant.length === 0 ? 'no capabilities' : mayGrant.join(', ')}`,
    );
    return 0;
  });
}

async function revokeKey(key: string, options: CommonOptions): Promise<number> {
  const own = key.startsWith('ed25519:') ? null : await existingKey(key);
  if (own !== null && !own.ok) return refuse(own.error);
  const id = own === null ? (key as KeyId) : own.value.key;
  return withOperator(options, async (session) => {
    const reply = await session.execute({ kind: 'trust-revoke', key: id });
    if (!reply.ok) return refuse(reply.error);
    print(`key ${id} is trusted no longer`);
    return 0;
  });
}

type PushOptions = CommonOptions & {
  readonly sign: string;
  readonly manifest?: string;
  readonly name?: string;
  readonly capability?: readonly string[];
  readonly fuel?: number;
  readonly memory?: number;
  readonly output?: never;
  readonly outputMax?: number;
  readonly json?: true;
};

export function addPush(program: Command): void {
  const command = program
    .command('push')
    .summary('sign a module and store it as its next version')
    .description(
      'Signs a WebAssembly module with a key of this user and stores it as the next version of its name. The controller checks the signature first and compiles the module for every architecture. What the module may do comes from the options, or from a manifest (module.yaml beside the file is taken when it is there).',
    )
    .argument('<file>', 'the module, a .wasm file')
    .requiredOption('--sign <key>', 'name of the key that signs it')
    .option('--manifest <file>', 'name, capabilities and limits from this YAML file')
    .option('--name <module>', 'name of the module (default: that of the manifest, else of the file)')
    .option('--capability <capability>', "what it may do, such as 'publish:alerts.>'; may be repeated", collect)
    .option('--fuel <n>', `fuel of one invocation (default: ${FUEL_MAX})`, countFrom(1, FUEL_CEILING))
    .option('--memory <size>', `memory of one guest (default: ${MEMORY})`, size)
    .option('--output-max <size>', `output of one invocation (default: ${OUTPUT})`, size)
    .option('--json', 'print what was stored as JSON');
  addCommon(command).action(async (file: string, options: PushOptions) => {
    process.exitCode = await push(file, options);
  });
}

function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === null || bytes < 1) throw new InvalidArgumentError('expected a size such as 64KiB or 16MiB.');
  return bytes;
}

async function push(file: string, options: PushOptions): Promise<number> {
  const key = await existingKey(options.sign);
  if (!key.ok) return refuse(key.error);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file));
  } catch (error) {
    const unread = wrong(`The module ${file} cannot be read (${whyOf(error)}).`, 'Name a file that you may read.');
    return unread.ok ? 0 : refuse(unread.error);
  }
  const faulty = checkModule(file, bytes);
  if (!faulty.ok) return refuse(faulty.error);
  const beside = join(dirname(file), 'module.yaml');
  const manifestFile = options.manifest ?? (existsSync(beside) ? beside : null);
  const declared: Outcome<Declared> =
    manifestFile === null ? ok({ name: null, capabilities: [], limits: {} }) : readModuleManifest(manifestFile);
  if (!declared.ok) return refuse(declared.error);
  const name = options.name ?? declared.value.name ?? basename(file).replace(/\.wasm$/, '');
  const capabilities = [...new Set(options.capability ?? declared.value.capabilities)].sort();
  const odd = capabilities.find((text) => parseCapability(text) === null);
  if (!isName(name) || odd !== undefined) {
    const bad = isName(name)
      ? rejected('WM_CAPABILITY_INVALID', {
          message: `'${odd}' is no capability.`,
          next: 'Use clock, random, sleep, log, state-read:<prefix>, state-write:<prefix> or publish:<filter>.',
        })
      : wrong(`'${name}' is no name of a module.`, 'Give one with --name: lower-case letters, digits and inner hyphens.');
    return bad.ok ? 0 : refuse(bad.error);
  }
  const keys = new FileKeys(keysFolder());
  const manifest: ModuleManifest = {
    name: name as ModuleName,
    digest: keys.digest(bytes),
    capabilities,
    limits: {
      fuelMax: options.fuel ?? declared.value.limits.fuelMax ?? FUEL_MAX,
      memoryBytesMax: options.memory ?? declared.value.limits.memoryBytesMax ?? parseSize(MEMORY) ?? 0,
      outputBytesMax: options.outputMax ?? declared.value.limits.outputBytesMax ?? parseSize(OUTPUT) ?? 0,
    },
  };
  const signature = await keys.sign(options.sign, new TextEncoder().encode(manifestText(manifest)));
  if (!signature.ok) return refuse(signature.error);
  return withOperator({ ...options }, async (session) => {
    const reply = await session.execute({
      kind: 'module-push',
      manifest,
      signature: { key: key.value.key, bytes: signature.value },
      bytes,
    });
    if (!reply.ok) return refuse(reply.error);
    const version = reply.value.kind === 'module-stored' ? reply.value.version : 0;
    if (options.json === true) printData('json', { module: name, version, digest: manifest.digest, key: key.value.key, capabilities });
    else print(`module ${name} is stored as version ${version}, signed by ${options.sign}`);
    return 0;
  });
}

export function addToken(program: Command): void {
  const token = program
    .command('token')
    .summary('show, make or replace join tokens')
    .description(
      'Join tokens let in nodes and operators that have no certificate yet. Whoever holds one can join: keep it like a password.',
    );
  const role = (): Option => new Option('--role <role>', 'whom it lets in').choices(TOKEN_ROLES).default('node');
  const verbs = [
    ['show', 'current', 'show the present token'],
    ['create', 'create', 'make one more token; earlier ones stay valid'],
    ['rotate', 'rotate', 'make a new token and end all earlier ones of the role'],
  ] as const;
  for (const [verb, kind, summary] of verbs) {
    addCommon(
      token
        .command(verb)
        .summary(summary)
        .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
        .addOption(role()),
    ).action(async (options: CommonOptions & { readonly role: TokenRole }) => {
      process.exitCode = await tokens(options, { kind, role: options.role });
    });
  }
  addCommon(
    token.command('list').summary('list the tokens that are valid').description('Lists the tokens that are valid, without their secrets.'),
  ).action(async (options: CommonOptions) => {
    process.exitCode = await tokens(options, { kind: 'list' });
  });
}

function tokens(options: CommonOptions, request: TokensRequest): Promise<number> {
  return withOperator(options, async ({ operator, deadlineMicros }) => {
    const answer = await operator.client.call(TOKENS_METHOD, encodeTokensRequest(request), { deadlineMicros });
    if (!answer.ok) return refuse(answer.error);
    const reply = decodeTokensReply(answer.value);
    if (!reply.ok) return refuse(reply.error);
    if (reply.value.token !== null) print(reply.value.token);
    else
      for (const line of formatTable(
        reply.value.tokens,
        [
          { title: 'TOKEN', of: ({ id }) => id },
          { title: 'ROLE', of: (each) => each.role },
          { title: 'MADE', of: ({ createdAtMs }) => new Date(createdAtMs).toISOString().slice(0, 19).replace('T', ' ') },
        ],
        { wide: false, titles: true },
      ).lines)
        print(line);
    return 0;
  });
}

export function addLogin(program: Command): void {
  program
    .command('login')
    .summary('become an operator of a platform that runs elsewhere')
    .description(
      "Joins a platform as an operator with a token of that role (`wasmmatrix token show --role operator` on the controller's machine prints it), and remembers it for all other commands.",
    )
    .requiredOption('--join <token>', 'operator token')
    .option('--name <name>', 'your name there (default: your user name)')
    .option('--out <file>', 'keep the context in this file, for --context (default: where all commands look first)')
    .action(async (options: { readonly join: string; readonly name?: string; readonly out?: string }) => {
      process.exitCode = await login(options);
    });
}

async function login(options: { readonly join: string; readonly name?: string; readonly out?: string }): Promise<number> {
  const name = options.name ?? (process.env['USER'] ?? 'operator').toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  const joined = await joinPlatform({ token: options.join, name: `operator/${name}` });
  if (!joined.ok) return refuse(joined.error);
  const file = options.out ?? loginFile(process.env);
  const saved = await saveIdentity(file, joined.value);
  if (!saved.ok) return refuse(saved.error);
  print(`You are operator/${name} of the platform at ${joined.value.addresses.join(', ')}.`);
  print(options.out === undefined ? 'All commands use it from now on.' : `Use it with --context ${file}.`);
  return 0;
}

export function addRevoke(program: Command): void {
  addCommon(
    program
      .command('revoke')
      .summary('end the certificates of a node or an operator')
      .description(
        'Ends every certificate of a node or an operator at once. It is put out, and can be enrolled anew by whoever holds a join token: rotate the token too when it leaked.',
      )
      .argument('<name>', 'node/<name> or operator/<name>'),
  ).action(async (name: string, options: CommonOptions) => {
    process.exitCode = await withOperator(options, async ({ operator, deadlineMicros }) => {
      const answer = await operator.client.call(REVOKE_METHOD, encodeRevokeRequest({ name }), { deadlineMicros });
      if (!answer.ok) return refuse(answer.error);
      const reply = decodeRevokeReply(answer.value);
      if (!reply.ok) return refuse(reply.error);
      const count = reply.value.serials.length;
      print(count === 0 ? `${name} had no certificate that holds` : `${count} certificate${count === 1 ? '' : 's'} of ${name} ended`);
      return 0;
    });
  });
}
