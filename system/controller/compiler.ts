// Compiles stored modules for enrolled profiles, signs what comes out and keeps it by digest (R3.4, R11.3). One job at a time:
// compiling is the heaviest thing the controller does.
import type { Digest, ProfileId } from '../domain/identifiers.ts';
import { artefactText, type ModuleManifest, type ModuleVersion, type SignedArtefact } from '../domain/module.ts';
import { describeError, failed, ok, type Outcome, type WmError } from '../domain/outcome.ts';
import { retryDelayMs } from '../deployments/deployments.ts';
import { findCompileJob, viewModules } from '../modules/modules.ts';
import { MICROS_PER_MS, type Timer } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import { readBlob } from './blobs.ts';
import type { Head } from './head.ts';
import type { Matrix } from './matrix.ts';
import type { Entry } from './state.ts';

/** Name of the controller's key pair. */
export const CONTROLLER_KEY = 'controller';

export type CompilerPorts = Pick<Ports, 'clock' | 'keys' | 'storage' | 'telemetry' | 'wasm'>;

/** Signed, stored, and how long compiling it took where that is measured. */
type Made = SignedArtefact & { readonly compileMicros?: number };

/** Machine code of a module for one profile, signed and stored. */
export async function compileAndSign(
  ports: CompilerPorts,
  module: Digest,
  bytes: Uint8Array,
  profile: ProfileId,
  target: string,
): Promise<Outcome<Made>> {
  const compiled = await ports.wasm.compile(bytes, profile);
  if (!compiled.ok) return compiled;
  const { artefact: code, micros } = compiled.value;
  const artefact = ports.keys.digest(code);
  const statement = { module, target, profile, artefact, sizeBytes: code.length };
  const key = await ports.keys.open(CONTROLLER_KEY);
  if (!key.ok) return key;
  const signature = await ports.keys.sign(CONTROLLER_KEY, new TextEncoder().encode(artefactText(statement)));
  if (!signature.ok) return signature;
  const stored = await ports.storage.blobs.put(artefact, code);
  if (!stored.ok) return stored;
  return ok({
    statement,
    signature: { key: key.value.key, bytes: signature.value },
    ...(micros === null ? {} : { compileMicros: Math.round(micros) }),
  });
}

export type CompilerOptions = {
  readonly ports: CompilerPorts;
  readonly head: Head;
  readonly matrix: Matrix;
  readonly commit: (entries: readonly Entry[]) => void;
};

export class Compiler {
  readonly #options: CompilerOptions;
  /** Pairs whose artefact an agent refused, and whose signature proved to be bad. */
  readonly #again: { readonly version: ModuleVersion; readonly profile: ProfileId; readonly target: string }[] = [];
  #running = false;
  #stopped = false;
  /** Set while something is refused that may be tried again. */
  #retry: Timer | null = null;
  /** Attempts in vain since something was last compiled: decides the delay before the next. */
  #failures = 0;

  constructor(options: CompilerOptions) {
    this.#options = options;
  }

  /** Looks for work; what is running goes on. */
  poke(): void {
    if (!this.#running && !this.#stopped) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
  }

  /** It could not be compiled for this profile. Unless that is the module's fault, it is tried again, after growing pauses. */
  refuse({ name, digest }: Pick<ModuleManifest, 'name' | 'digest'>, profile: ProfileId, error: WmError): void {
    const { matrix, ports } = this.#options;
    if (matrix.refuse(digest, profile, error))
      ports.telemetry.log('warn', `Module ${name} is not available for profile ${profile}: ${describeError(error)}`);
    if (this.#stopped || this.#retry !== null) return;
    this.#failures += 1;
    this.#retry = ports.clock.after(retryDelayMs(this.#failures) * MICROS_PER_MS, () => {
      this.#retry = null;
      matrix.tryPassing();
      this.poke();
    });
  }

  /** An agent did not believe this artefact: if our own signature over it does not hold, it is made anew. */
  doubt(version: ModuleVersion, artefact: SignedArtefact, publicKey: Uint8Array): void {
    const { statement, signature } = artefact;
    const holds = this.#options.ports.keys.verify(publicKey, new TextEncoder().encode(artefactText(statement)), signature.bytes);
    if (!holds) this.#makeAgain(version, artefact);
  }

  /** The stored artefact is gone: it is made anew of its module. */
  remake(artefact: Digest): void {
    const { modules } = this.#options.head.state;
    const lost = [...modules.artefacts.values()].find(({ statement }) => statement.artefact === artefact);
    const version = viewModules(modules).find(({ manifest }) => manifest.digest === lost?.statement.module);
    if (lost !== undefined && version !== undefined) this.#makeAgain(version, lost);
  }

  #makeAgain(version: ModuleVersion, { statement: { profile, target } }: SignedArtefact): void {
    if (this.#again.some((job) => job.version === version && job.profile === profile)) return;
    this.#again.push({ version, profile, target });
    this.poke();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (;;) {
      const { head, matrix } = this.#options;
      const job =
        this.#again.shift() ?? findCompileJob(head.state.modules, head.profiles(), (module, profile) => matrix.isRefused(module, profile));
      if (job === null || this.#stopped) break;
      const done = await this.#compile(job.version, job.profile, job.target);
      if (this.#stopped) break;
      if (done.ok) {
        this.#failures = 0;
        matrix.made(job.version.manifest.digest, job.profile);
        this.#options.commit([
          { kind: 'module-artefact', module: job.version.manifest.name, version: job.version.version, artefact: done.value },
        ]);
      } else this.refuse(job.version.manifest, job.profile, done.error);
    }
    this.#running = false;
  }

  async #compile(version: ModuleVersion, profile: ProfileId, target: string): Promise<Outcome<Made>> {
    const { ports } = this.#options;
    // Safety: what is signed as this module's code is made of its author's bytes and no others (P3).
    const bytes = await readBlob(ports, version.manifest.digest);
    if (!bytes.ok) return bytes;
    if (bytes.value === null) {
      return failed('WM_NOT_FOUND', {
        message: `The bytes of ${version.manifest.digest} are not in the blob store.`,
        next: 'Push the module again.',
      });
    }
    return compileAndSign(ports, version.manifest.digest, bytes.value, profile, target);
  }
}
