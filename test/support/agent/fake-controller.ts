// A controller that says what a test tells it to: welcomes or refuses, answers heartbeats or is silent, serves artefacts.
// Signs with real keys, so that an agent has something to verify.
import type { Digest, Incarnation, ModuleName, Term } from '../../../system/domain/identifiers.ts';
import { artefactText, manifestText } from '../../../system/domain/module.ts';
import type { ArtefactStatement, ModuleManifest, TrustedKey } from '../../../system/domain/module.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { AgentMessage, Assignment, ControllerMessage, Landmark, ModuleGrant, Withdrawn } from '../../../system/domain/session.ts';
import { FETCH_METHOD, SESSION_METHOD } from '../../../system/domain/session.ts';
import type { Keys } from '../../../system/ports/keys.ts';
import type { ByteStream, Network } from '../../../system/ports/network.ts';
import { decodeAgentMessage, decodeFetchRequest, encodeControllerMessage, encodeFetchReply } from '../../../system/wire/codec/session.ts';
import { PROFILE } from './scripted-wasm.ts';

type Desired = Extract<ControllerMessage, { kind: 'desired' }>;

export class FakeController {
  readonly heard: AgentMessage[] = [];
  readonly fetches: { readonly artefact: Digest; readonly offset: number }[] = [];
  readonly artefacts = new Map<Digest, Uint8Array>();
  readonly #keys: Keys;
  term = 1;
  incarnation = 1;
  leaseMs = 2_000;
  revision = 0;
  /** Null: let in. */
  refusal: Extract<ControllerMessage, { kind: 'refused' }> | null = null;
  answersHeartbeats = true;
  sessions = 0;
  desired: Omit<Desired, 'kind' | 'term' | 'revision'> = { trust: [], modules: [], assignments: [], landmarks: [], withdrawn: [] };
  /** Sent after each welcome; false: nothing is. */
  sendsDesired = true;
  #stream: ByteStream | null = null;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  async listen(network: Network): Promise<void> {
    const listening = await network.listen('controller' as never, {
      call: (method, _peer, bytes) =>
        Promise.resolve(method === FETCH_METHOD ? this.#fetch(bytes) : rejected('WM_MESSAGE_INVALID', { message: method, next: '' })),
      stream: (method, stream) => (method === SESSION_METHOD ? this.#serve(stream) : Promise.resolve(stream.close())),
    });
    if (!listening.ok) throw new Error(listening.error.message);
  }

  /** The node's desired state from here on, under the next revision. */
  async want(fields: {
    readonly modules?: readonly ModuleGrant[];
    readonly assignments?: readonly Assignment[];
    readonly landmarks?: readonly Landmark[];
    readonly trust?: readonly TrustedKey[];
    readonly withdrawn?: readonly Withdrawn[];
  }): Promise<void> {
    this.desired = { ...this.desired, ...fields };
    this.revision += 1;
    await this.sayDesired();
  }

  async sayDesired(revision = this.revision, term = this.term): Promise<void> {
    await this.say({ kind: 'desired', term: term as Term, revision, ...this.desired });
  }

  async say(message: ControllerMessage): Promise<void> {
    await this.#stream?.send(encodeControllerMessage(message));
  }

  /** As a crash of the controller's process does it. */
  hangUp(): void {
    this.#stream?.close();
  }

  async author(
    name: string,
    mayGrant: readonly string[] = ['log', 'sleep', 'random', 'clock', 'publish:>', 'state-read:k', 'state-write:k'],
  ): Promise<TrustedKey> {
    const opened = get(await this.#keys.open(name));
    return { ...opened, mayGrant, revoked: false };
  }

  /** A module version whose artefact is the name of a script, signed as it must be unless `forge` changes something. */
  async grant(
    script: string,
    version: number,
    options: {
      readonly author?: string;
      readonly capabilities?: readonly string[];
      readonly signer?: string;
      readonly statement?: Partial<ArtefactStatement>;
      readonly manifest?: Partial<ModuleManifest>;
    } = {},
  ): Promise<ModuleGrant> {
    const artefactBytes = new TextEncoder().encode(`${script} ${version}`);
    const manifest: ModuleManifest = {
      name: script as ModuleName,
      digest: this.#keys.digest(new TextEncoder().encode(`module ${script} ${version}`)),
      capabilities: options.capabilities ?? [],
      limits: { fuelMax: 1_000, memoryBytesMax: 65_536, outputBytesMax: 1_024 },
    };
    const statement: ArtefactStatement = {
      module: manifest.digest,
      ...PROFILE,
      artefact: this.#keys.digest(artefactBytes),
      sizeBytes: artefactBytes.length,
      ...options.statement,
    };
    this.artefacts.set(statement.artefact, artefactBytes);
    const authorKey = options.author ?? 'author';
    const controllerKey = options.signer ?? 'controller';
    return {
      version,
      manifest: { ...manifest, ...options.manifest },
      signature: {
        key: get(await this.#keys.open(authorKey)).key,
        bytes: get(await this.#keys.sign(authorKey, new TextEncoder().encode(manifestText(manifest)))),
      },
      artefact: {
        statement,
        signature: {
          key: get(await this.#keys.open(controllerKey)).key,
          bytes: get(await this.#keys.sign(controllerKey, new TextEncoder().encode(artefactText(statement)))),
        },
      },
    };
  }

  last<K extends AgentMessage['kind']>(kind: K): Extract<AgentMessage, { kind: K }> | null {
    return (this.heard.findLast((message) => message.kind === kind) as Extract<AgentMessage, { kind: K }> | undefined) ?? null;
  }

  async #serve(stream: ByteStream): Promise<void> {
    this.sessions += 1;
    this.#stream = stream;
    for (;;) {
      const received = await stream.receive();
      if (!received.ok || received.value === null) return;
      const message = get(decodeAgentMessage(received.value));
      this.heard.push(message);
      if (message.kind === 'hello') {
        if (this.refusal !== null) {
          await this.say(this.refusal);
          continue;
        }
        const controllerKey = await this.author('controller', []);
        await this.say({
          kind: 'welcome',
          term: this.term as Term,
          incarnation: this.incarnation as Incarnation,
          heartbeatIntervalMs: 500,
          leaseMs: this.leaseMs,
          controllerKey,
        });
        if (this.sendsDesired) await this.sayDesired();
      }
      if (message.kind === 'heartbeat' && this.answersHeartbeats)
        await this.say({ kind: 'heartbeat-ack', term: this.term as Term, sequence: message.sequence, leaseMs: this.leaseMs });
    }
  }

  #fetch(bytes: Uint8Array): Outcome<Uint8Array> {
    const { artefact, offset, bytesMax } = get(decodeFetchRequest(bytes));
    this.fetches.push({ artefact, offset });
    const whole = this.artefacts.get(artefact);
    if (whole === undefined) return rejected('WM_NOT_FOUND', { message: artefact, next: '' });
    return ok(encodeFetchReply({ sizeBytes: whole.length, offset, bytes: whole.slice(offset, offset + bytesMax) }));
  }
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}
