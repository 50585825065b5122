// Modules, their versions, who may sign them, and what was compiled of them. Pure: the fold of module entries, and the checks
// of an upload in their order, signature first (R3.1). Versions are numbered from 1 and never rewritten (R3.2).
import type { Capability } from '../domain/capability.ts';
import { coversCapability, parseCapability } from '../domain/capability.ts';
import type { Digest, KeyId, ModuleName, ProfileId } from '../domain/identifiers.ts';
import { isExpired, type ModuleVersion, type SignedArtefact, type TrustedKey } from '../domain/module.ts';
import { isTrusted, viewKey, type StoredKey } from './trust.ts';
import { assert, rejected, type Outcome } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';

export { viewKey } from './trust.ts';
export { checkUpload } from './upload.ts';

export type ModulesState = {
  readonly trust: Map<KeyId, StoredKey>;
  readonly versions: Map<ModuleName, readonly ModuleVersion[]>;
  /** By module digest and profile. */
  readonly artefacts: Map<string, ArtefactRecord>;
};

/** How long compiling took; absent where that was not measured, and in journals of earlier versions. */
type CompileTime = { readonly compileMicros?: number };
type ArtefactRecord = SignedArtefact & CompileTime;

export type ModuleEntry =
  | { readonly kind: 'module-trust'; readonly key: StoredKey }
  | { readonly kind: 'module-stored'; readonly version: ModuleVersion }
  | {
      readonly kind: 'module-artefact';
      readonly module: ModuleName;
      readonly version: number;
      readonly artefact: ArtefactRecord;
    };

export function createModulesState(): ModulesState {
  return { trust: new Map(), versions: new Map(), artefacts: new Map() };
}

function artefactKey(module: Digest, profile: ProfileId): string {
  return `${module} ${profile}`;
}

export function applyModuleEntry(state: ModulesState, entry: ModuleEntry): void {
  switch (entry.kind) {
    case 'module-trust':
      state.trust.set(entry.key.key, entry.key);
      return;
    case 'module-stored': {
      const { manifest, version } = entry.version;
      const before = state.versions.get(manifest.name) ?? [];
      assert(version === before.length + 1, `versions of ${manifest.name} have no gap`);
      state.versions.set(manifest.name, [...before, entry.version]);
      return;
    }
    case 'module-artefact': {
      const { statement } = entry.artefact;
      state.artefacts.set(artefactKey(statement.module, statement.profile), entry.artefact);
      return;
    }
  }
}

export function factsOfModuleEntry(state: ModulesState, entry: ModuleEntry): readonly Fact[] {
  switch (entry.kind) {
    case 'module-trust': {
      const { key } = entry.key;
      if (!isTrusted(entry.key)) return [{ kind: 'trust.revoked', fields: { key } }];
      return isTrusted(state.trust.get(key)) ? [] : [{ kind: 'trust.added', fields: { key } }];
    }
    case 'module-stored': {
      const { manifest, version, signature } = entry.version;
      return [{ kind: 'module.stored', fields: { module: manifest.name, version, digest: manifest.digest, key: signature.key } }];
    }
    case 'module-artefact': {
      const { statement } = entry.artefact;
      return [
        {
          kind: 'artefact.signed',
          fields: { module: entry.module, version: entry.version, profile: statement.profile, artefact: statement.artefact },
        },
      ];
    }
  }
}

export function isModuleEntry(entry: { readonly kind: string }): entry is ModuleEntry {
  return entry.kind.startsWith('module-');
}

export function findVersion(state: ModulesState, module: ModuleName, version: number): ModuleVersion | null {
  return state.versions.get(module)?.[version - 1] ?? null;
}

/** Keys whose time is over, and keys whose time is not over after all: a clock that was ahead was put right. */
export function planExpiry(state: ModulesState, atMs: number): readonly ModuleEntry[] {
  return [...state.trust.values()]
    .filter((key) => !key.revoked && isExpired(key, atMs) !== (key.expired ?? false))
    .map((key): ModuleEntry => ({ kind: 'module-trust', key: { ...key, expired: isExpired(key, atMs) } }));
}

/** The version to deploy: `version`, or the newest when null. A revoked signer makes it undeployable (P3). */
export function checkDeployable(state: ModulesState, module: ModuleName, version: number | null): Outcome<ModuleVersion> {
  const versions = state.versions.get(module);
  if (versions === undefined) {
    return rejected('WM_MODULE_UNKNOWN', {
      message: `No module is called '${module}'.`,
      next: 'Push the module first, or correct the name.',
      detail: { module },
    });
  }
  const found = versions[(version ?? versions.length) - 1];
  if (found === undefined) {
    return rejected('WM_MODULE_UNKNOWN', {
      message: `Module '${module}' has versions 1 to ${versions.length}, and none is ${version}.`,
      next: 'Name one of these versions.',
      detail: { module, versions: versions.length },
    });
  }
  if (!isTrusted(state.trust.get(found.signature.key))) {
    return rejected('WM_SIGNER_UNTRUSTED', {
      message: `Version ${found.version} of '${module}' was signed by ${found.signature.key}, which is not trusted any more.`,
      next: 'Sign it again with a trusted key and push it as a new version.',
      detail: { module, version: found.version },
    });
  }
  return { ok: true, value: found };
}

export function findArtefact(state: ModulesState, module: Digest, profile: ProfileId): ArtefactRecord | null {
  return state.artefacts.get(artefactKey(module, profile)) ?? null;
}

/** R3.3: what the manifest declares and the signer may grant now. */
export function grantsOf(state: ModulesState, version: ModuleVersion): readonly Capability[] {
  const key = state.trust.get(version.signature.key);
  if (key === undefined || !isTrusted(key)) return [];
  const wide = key.mayGrant.map(parseCapability).filter((capability) => capability !== null);
  return version.manifest.capabilities
    .map(parseCapability)
    .filter((capability) => capability !== null)
    .filter((narrow) => wide.some((grant) => coversCapability(grant, narrow)));
}

export type CompileJob = { readonly version: ModuleVersion; readonly profile: ProfileId; readonly target: string };

/** The first artefact that is missing for one of `profiles`, newest versions first; `isRefused` names those that were tried in vain. */
export function findCompileJob(
  state: ModulesState,
  profiles: readonly { readonly profile: ProfileId; readonly target: string }[],
  isRefused: (module: Digest, profile: ProfileId) => boolean,
): CompileJob | null {
  for (const versions of state.versions.values()) {
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i];
      assert(version !== undefined, 'versions have no gap');
      for (const { profile, target } of profiles) {
        const { digest } = version.manifest;
        if (findArtefact(state, digest, profile) === null && !isRefused(digest, profile)) return { version, profile, target };
      }
    }
  }
  return null;
}

export function viewModules(state: ModulesState): readonly ModuleVersion[] {
  return [...state.versions.values()]
    .flat()
    .sort((a, b) => (a.manifest.name === b.manifest.name ? a.version - b.version : a.manifest.name < b.manifest.name ? -1 : 1));
}

export function viewTrust(state: ModulesState): readonly TrustedKey[] {
  return [...state.trust.values()].map(viewKey).sort((a, b) => (a.key < b.key ? -1 : 1));
}
