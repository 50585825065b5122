// What a worker of the load asks for next: anything an operator may ask for, on objects that are this worker's alone, so that
// the log says by itself what must be there.
import { createHash, randomBytes } from 'node:crypto';
import type { DeploymentSpec, TriggerSpec } from '../../../system/domain/deployment.ts';
import type {
  DeploymentName,
  Digest,
  ModuleName,
  Subject,
  SubjectFilter,
  TriggerName,
  ZonePath,
} from '../../../system/domain/identifiers.ts';
import { manifestText, type ModuleManifest } from '../../../system/domain/module.ts';
import type { OperatorCommand } from '../../../system/domain/operator.ts';
import type { FileKeys } from '../../../hardware/keys/keys.ts';

const DEPLOYMENTS = 3;
const KEYS = 2;
const REPLICAS_MAX = 6;
/** Of a hundred commands. */
const PUSHES = 4;
/** The smallest module that runs: `_start` does nothing, and a memory is exported. */
const MODULE = Buffer.from(
  '0061736d0100000001040160000003020100050301000107130206' + '6d656d6f7279020006' + '5f737461727400000a040102000b',
  'hex',
);

const below = (n: number): number => Math.floor(Math.random() * n);

export const SIGNING_KEY = 'load';

export class Worker {
  readonly number: number;
  readonly #keys: FileKeys;
  readonly #publicKeys = Array.from({ length: KEYS }, () => new Uint8Array(randomBytes(32)));
  #variant = 0;
  /** Versions of this worker's module that were acknowledged. */
  versions = 0;

  constructor(number: number, keys: FileKeys) {
    this.number = number;
    this.#keys = keys;
  }

  async next(): Promise<OperatorCommand> {
    if (this.versions === 0 || below(100) < PUSHES) return this.#push();
    const deployment = `d-${this.number}-${below(DEPLOYMENTS)}` as DeploymentName;
    const publicKey = this.#publicKeys[below(KEYS)]!;
    switch (below(10)) {
      case 0:
      case 1:
        return { kind: 'deployment-apply', spec: this.#spec(deployment) };
      case 2:
      case 3:
      case 4:
        return { kind: 'deployment-scale', deployment, replicas: below(REPLICAS_MAX + 1) };
      case 5:
        return below(3) === 0
          ? { kind: 'deployment-delete', deployment }
          : { kind: 'rollback', deployment, version: 1 + below(this.versions) };
      case 6:
      case 7:
        return { kind: 'trigger-apply', spec: this.#trigger(deployment) };
      case 8:
        return { kind: 'trigger-delete', trigger: deployment as string as TriggerName };
      default:
        return below(2) === 0
          ? { kind: 'trust-add', publicKey, mayGrant: [`publish:w${this.number}.n${below(1000)}`] }
          : { kind: 'trust-revoke', key: this.#keys.keyIdOf(publicKey) };
    }
  }

  async #push(): Promise<OperatorCommand> {
    this.#variant += 1;
    const text = Buffer.from(`variant ${this.number}.${this.#variant}.${randomBytes(8).toString('hex')}`);
    // A custom section at the end makes other bytes of the same module.
    const bytes = new Uint8Array([...MODULE, 0, text.length + 1, text.length, ...text]);
    const manifest: ModuleManifest = {
      name: `m-${this.number}` as ModuleName,
      digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest,
      capabilities: [],
      limits: { fuelMax: 1_000_000, memoryBytesMax: 1_048_576, outputBytesMax: 1_024 },
    };
    const key = await this.#keys.open(SIGNING_KEY);
    const signature = await this.#keys.sign(SIGNING_KEY, new TextEncoder().encode(manifestText(manifest)));
    if (!key.ok || !signature.ok) throw new Error('the key of the load cannot sign');
    return { kind: 'module-push', manifest, signature: { key: key.value.key, bytes: signature.value }, bytes };
  }

  #spec(name: DeploymentName): DeploymentSpec {
    return {
      name,
      module: `m-${this.number}` as ModuleName,
      version: 1 + below(this.versions),
      replicas: 1 + below(REPLICAS_MAX),
      origin: 'local' as ZonePath,
      requirements: { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 1_048_576, cpuMillis: 10 },
      spread: 0,
      whenUnreachable: 'move',
      concurrency: 1 + below(4),
    };
  }

  #trigger(deployment: DeploymentName): TriggerSpec {
    return {
      name: deployment as string as TriggerName,
      subject: `unused.${deployment}.n${below(1000)}` as SubjectFilter,
      deployment,
      result: (below(2) === 0 ? null : `results.${deployment}`) as Subject | null,
      deliveriesMax: 4,
      ackWaitMs: 1_000,
      backoffMs: 100,
      backoffMsMax: 1_000,
    };
  }
}
