// Module versions that this node may run, verified, on disk and mapped, so that a switch between them costs no download and
// no compile (R2.2). Refuses whatever is not signed as it must be, before it is fetched (R2.4, R3.5, P3).
// `want` decides everything that needs no waiting at once: a version whose artefact is mapped already is ready when it returns.
// Bounds: downloads at a time, bytes of an artefact, undesired artefacts on disk. What nothing wants is unmapped at once.
import type { LoadedModule } from '../../system/ports/wasm.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { ArtefactStatement, TrustedKey } from '../../system/domain/module.ts';
import type { Digest, ModuleName } from '../../system/domain/identifiers.ts';
import type { NodeFacts } from '../../system/domain/node.ts';
import { describeError, failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../system/domain/outcome.ts';
import type { ModuleGrant } from '../../system/domain/session.ts';
import type { AgentBounds } from '../bounds.ts';
import { backoffMicros, Wait } from '../waiting/waiting.ts';
import { beginPartial, continueDownload } from './download.ts';
import type { Fetch, PartialArtefact } from './download.ts';
import { planEviction } from './eviction.ts';
import { basisOf, checkGrant, isSameBasis } from './verification.ts';
import type { VerificationBasis, VerificationRules } from './verification.ts';

export { effectiveGrants } from './verification.ts';

type CachePorts = Pick<Ports, 'clock' | 'keys' | 'random' | 'storage' | 'telemetry' | 'wasm'>;

export type VersionKey = string;

export function versionKeyOf(module: ModuleName, version: number): VersionKey {
  return `${module}@${version}`;
}

export type VersionState =
  | { readonly kind: 'ready'; readonly grant: ModuleGrant; readonly module: LoadedModule }
  | { readonly kind: 'loading' }
  | { readonly kind: 'refused'; readonly error: WmError };

/** `isVerified`: whatever is refused afterwards lies with the bytes, and may be right the next time. */
type Slot = { readonly grant: ModuleGrant; readonly basis: VerificationBasis; readonly isVerified: boolean; state: VersionState };

export type CacheHost = {
  readonly fetch: Fetch;
  readonly controllerKey: () => Pick<TrustedKey, 'key' | 'publicKey'> | null;
  /** A version became ready or refused. */
  readonly changed: () => void;
  readonly refused: (grant: ModuleGrant, error: WmError) => void;
  /** The store said that a write failed: this process must not go on. */
  readonly storageFailed: (error: WmError) => void;
};

const LOADING: VersionState = Object.freeze({ kind: 'loading' });

export class Cache {
  readonly #ports: CachePorts;
  readonly #bounds: AgentBounds;
  readonly #facts: NodeFacts;
  readonly #host: CacheHost;
  readonly #slots = new Map<VersionKey, Slot>();
  readonly #mapped = new Map<Digest, LoadedModule>();
  /** Wakes the obtaining of an artefact from a pause; its keys are the artefacts being obtained. */
  readonly #obtaining = new Map<Digest, Wait>();
  readonly #queued: Digest[] = [];
  #downloads = 0;
  /** The grants that were wanted last. */
  #grants: readonly ModuleGrant[] = [];
  /** Artefacts on disk that nothing desires, oldest first. */
  #spare: Digest[] = [];
  #isClosed = false;

  constructor(ports: CachePorts, options: { readonly bounds: AgentBounds; readonly facts: NodeFacts }, host: CacheHost) {
    this.#ports = ports;
    this.#bounds = options.bounds;
    this.#facts = options.facts;
    this.#host = host;
  }

  /** Learns what an earlier process left on disk. */
  async open(): Promise<Outcome<void>> {
    const listed = await this.#ports.storage.blobs.list();
    if (!listed.ok) return listed;
    this.#spare = [...listed.value];
    return ok();
  }

  /** Everything that shall be held ready from now on; `inUse` names versions that still serve although nothing desires them. */
  want(grants: readonly ModuleGrant[], trust: readonly TrustedKey[], inUse: ReadonlySet<VersionKey>): void {
    const rules: VerificationRules = {
      trust,
      controllerKey: this.#host.controllerKey(),
      profile: this.#facts.profile,
      target: this.#facts.target,
      artefactBytesMax: this.#bounds.artefactBytesMax,
    };
    const isNews = grants !== this.#grants;
    this.#grants = grants;
    const wanted = new Map<VersionKey, ModuleGrant>();
    for (const [key, slot] of this.#slots) if (inUse.has(key)) wanted.set(key, slot.grant);
    for (const grant of grants) wanted.set(versionKeyOf(grant.manifest.name, grant.version), grant);
    for (const key of [...this.#slots.keys()]) if (!wanted.has(key)) this.#slots.delete(key);
    for (const [key, grant] of wanted) {
      const basis = basisOf(grant, rules);
      const before = this.#slots.get(key);
      if (before !== undefined && isSameBasis(before.basis, basis)) {
        if (isNews && before.isVerified && before.state.kind === 'refused') this.#obtainAgain(before);
        continue;
      }
      const checked = checkGrant(grant, rules, this.#ports.keys);
      const slot: Slot = { grant, basis, isVerified: checked.ok, state: LOADING };
      this.#slots.set(key, slot);
      if (checked.ok) this.#obtain(slot);
      else this.#refuse(slot, checked.error);
    }
    this.#unmapUnwanted();
  }

  find(key: VersionKey): VersionState | null {
    return this.#slots.get(key)?.state ?? null;
  }

  /** Artefacts that are verified and mapped. */
  artefacts(): readonly Digest[] {
    return [...this.#mapped.keys()];
  }

  /** There is a session again: downloads that pause go on. */
  wake(): void {
    for (const pause of this.#obtaining.values()) pause.wake();
  }

  close(): void {
    this.#isClosed = true;
    this.#slots.clear();
    this.#unmapUnwanted();
    this.wake();
  }

  /** The controller says again that it wants what brought the wrong bytes: it may have the right ones by now. */
  #obtainAgain(slot: Slot): void {
    slot.state = LOADING;
    this.#obtain(slot);
  }

  #obtain(slot: Slot): void {
    const { artefact } = slot.grant.artefact.statement;
    const module = this.#mapped.get(artefact);
    if (module !== undefined) return this.#becomeReady(slot, module);
    if (this.#obtaining.has(artefact)) return;
    this.#obtaining.set(artefact, new Wait(this.#ports.clock));
    this.#queued.push(artefact);
    this.#startQueued();
  }

  #startQueued(): void {
    while (this.#downloads < this.#bounds.downloadsMax) {
      const artefact = this.#queued.shift();
      if (artefact === undefined) return;
      this.#downloads += 1;
      void this.#bring(artefact);
    }
  }

  /** Until the artefact is mapped, refused, or not wanted any more. */
  async #bring(artefact: Digest): Promise<void> {
    const pause = this.#obtaining.get(artefact) ?? new Wait(this.#ports.clock);
    const random = this.#ports.random.stream(`agent/${this.#facts.node}/fetch`);
    const law = { baseMs: this.#bounds.fetchRetryMs, maxMs: this.#bounds.fetchRetryMsMax };
    let partial: PartialArtefact | null = null;
    let wrongDownloads = 0;
    let isStored = false;
    for (let attempt = 0; ; attempt++) {
      const statement = this.#statementOf(artefact);
      if (statement === null) break;
      partial ??= beginPartial(statement);
      const brought = await this.#bringBytes(statement, partial);
      isStored ||= brought.ok;
      const loaded = brought.ok ? await this.#ports.wasm.load(brought.value) : brought;
      if (loaded.ok) {
        if (this.#statementOf(artefact) === null) loaded.value.close();
        else this.#map(artefact, loaded.value);
        break;
      }
      if (loaded.error.code === 'WM_DIGEST_MISMATCH') {
        partial = null;
        wrongDownloads += 1;
      }
      // What the engine refuses it will refuse again; what the network or the store refuses may come later.
      const isFinal = brought.ok ? loaded.error.kind === 'rejected' : wrongDownloads >= this.#bounds.downloadAttemptsMax;
      if (isFinal) {
        this.#refuseAll(artefact, loaded.error);
        break;
      }
      this.#ports.telemetry.log('warn', `Bringing ${artefact} failed, trying again: ${describeError(loaded.error)}`);
      await pause.for(backoffMicros(law, attempt, random));
    }
    this.#obtaining.delete(artefact);
    this.#downloads -= 1;
    if (isStored && !this.#mapped.has(artefact)) this.#setAside(artefact);
    // A slot that came while the last attempt was ending is served by a new one.
    for (const slot of this.#slotsOf(artefact)) if (slot.state.kind === 'loading') this.#obtain(slot);
    this.#startQueued();
  }

  /** From disk, or else from the controller and then to disk. */
  async #bringBytes(statement: ArtefactStatement, partial: PartialArtefact): Promise<Outcome<Uint8Array>> {
    const { artefact } = statement;
    const stored = await this.#ports.storage.blobs.get(artefact);
    if (!stored.ok) return this.#broken(stored.error);
    let bytes = stored.value;
    if (bytes !== null && this.#ports.keys.digest(bytes) !== artefact) {
      this.#ports.telemetry.log('warn', `The stored artefact ${artefact} has other bytes than its name says; it is fetched again.`);
      const deleted = await this.#ports.storage.blobs.delete(artefact);
      if (!deleted.ok) return this.#broken(deleted.error);
      bytes = null;
    }
    if (bytes === null) {
      const isWanted = (): boolean => this.#statementOf(artefact) !== null;
      const downloaded = await continueDownload(partial, statement, {
        fetch: this.#host.fetch,
        bytesMax: this.#bounds.fetchBytes,
        isWanted,
      });
      if (!downloaded.ok) return downloaded;
      bytes = partial.bytes;
      if (this.#ports.keys.digest(bytes) !== artefact) {
        return rejected('WM_DIGEST_MISMATCH', {
          message: `The bytes that were fetched as ${artefact} have another digest.`,
          next: 'They are fetched again; if it happens twice, the store or the link changes bytes.',
        });
      }
      this.#ports.telemetry.record('artefact.fetched', { node: this.#facts.node, artefact, bytes: bytes.length });
      if (this.#statementOf(artefact) === null)
        return failed('WM_CANCELLED', { message: `The artefact ${artefact} is not wanted any more.`, next: 'Nothing.' });
      const kept = await this.#ports.storage.blobs.put(artefact, bytes);
      // A full disk costs the next start a download, nothing else.
      if (!kept.ok && kept.error.kind === 'unknown') return this.#broken(kept.error);
    }
    return ok(bytes);
  }

  #broken(error: WmError): Outcome<never> {
    if (error.kind === 'unknown') this.#host.storageFailed(error);
    return { ok: false, error };
  }

  #map(artefact: Digest, module: LoadedModule): void {
    this.#mapped.set(artefact, module);
    for (const slot of this.#slotsOf(artefact)) if (slot.state.kind === 'loading') this.#becomeReady(slot, module);
    this.#host.changed();
  }

  #becomeReady(slot: Slot, module: LoadedModule): void {
    const { grant } = slot;
    slot.state = { kind: 'ready', grant, module };
    this.#ports.telemetry.record('artefact.loaded', {
      node: this.#facts.node,
      module: grant.manifest.name,
      version: grant.version,
      digest: grant.manifest.digest,
      artefact: grant.artefact.statement.artefact,
      key: grant.signature.key,
    });
  }

  #refuseAll(artefact: Digest, error: WmError): void {
    for (const slot of this.#slotsOf(artefact)) if (slot.state.kind === 'loading') this.#refuse(slot, error);
    this.#host.changed();
  }

  #refuse(slot: Slot, error: WmError): void {
    slot.state = { kind: 'refused', error };
    this.#ports.telemetry.record('artefact.refused', {
      node: this.#facts.node,
      module: slot.grant.manifest.name,
      version: slot.grant.version,
      artefact: slot.grant.artefact.statement.artefact,
      code: error.code,
    });
    this.#host.refused(slot.grant, error);
  }

  /** Slots that were verified and want this artefact. */
  #slotsOf(artefact: Digest): readonly Slot[] {
    return [...this.#slots.values()].filter((slot) => slot.grant.artefact.statement.artefact === artefact && slot.state.kind !== 'refused');
  }

  #statementOf(artefact: Digest): ArtefactStatement | null {
    return this.#slotsOf(artefact)[0]?.grant.artefact.statement ?? null;
  }

  #desired(): ReadonlySet<Digest> {
    const desired = new Set<Digest>();
    for (const slot of this.#slots.values()) if (slot.state.kind !== 'refused') desired.add(slot.grant.artefact.statement.artefact);
    return desired;
  }

  /** Running guests go on in a module that is closed; new ones are refused. */
  #unmapUnwanted(): void {
    const desired = this.#desired();
    for (const [artefact, module] of this.#mapped) {
      if (desired.has(artefact)) continue;
      module.close();
      this.#mapped.delete(artefact);
      this.#spare.push(artefact);
    }
    this.#spare = this.#spare.filter((artefact) => !desired.has(artefact));
    if (this.#isClosed) return;
    for (const [artefact, pause] of this.#obtaining) if (!desired.has(artefact)) pause.wake();
    this.#evict(desired);
  }

  /** On disk and not mapped: the engine refused it, or nothing wanted it any more when it was there. */
  #setAside(artefact: Digest): void {
    if (this.#isClosed) return;
    this.#spare = [...this.#spare.filter((other) => other !== artefact), artefact];
    this.#evict(this.#desired());
  }

  #evict(desired: ReadonlySet<Digest>): void {
    const evicted = planEviction(this.#spare, desired, this.#bounds.artefactsSpareMax);
    this.#spare = this.#spare.filter((artefact) => !evicted.includes(artefact));
    for (const artefact of evicted) void this.#delete(artefact);
  }

  async #delete(artefact: Digest): Promise<void> {
    const deleted = await this.#ports.storage.blobs.delete(artefact);
    if (!deleted.ok && deleted.error.kind === 'unknown') this.#host.storageFailed(deleted.error);
  }
}
