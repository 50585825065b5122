// The compatibility matrix (R11.5), from the modules' state, the fleet's profiles, and what could not be compiled. Nothing of it is
// kept beside what it is made of, but for the refusals: they live in memory, and are found again after a restart.
import type { Digest, ProfileId } from '../domain/identifiers.ts';
import { findLevel, ISA_LEVELS } from '../domain/isa.ts';
import { nameOfCell, type MatrixCell } from '../domain/matrix.ts';
import type { ModuleVersion } from '../domain/module.ts';
import { ARCHITECTURES, type Architecture } from '../domain/node.ts';
import { assert, type WmError } from '../domain/outcome.ts';
import { findArtefact, viewModules, type ModulesState } from '../modules/modules.ts';
import type { CompileProfile } from '../ports/wasm.ts';
import type { FleetProfile, Head } from './head.ts';

/** Bound: letters of why a cell is refused, in a placement's reason. */
const WHY_LENGTH_MAX = 256;

/** Codes that say something about the module or the profile: another attempt has the same end. */
const LASTING: readonly string[] = ['WM_MODULE_INVALID', 'WM_MODULE_IMPORT', 'WM_MODULE_FEATURE', 'WM_PROFILE_MISMATCH'];

/** `isDue`: it may be tried again; until that succeeds it is told as refused. */
type Refusal = Pick<WmError, 'code' | 'message'> & { isDue: boolean };
type Column = FleetProfile & { readonly isUsed: boolean };

export class Matrix {
  readonly #compilable: readonly FleetProfile[];
  /** Bound: modules times profiles. */
  readonly #refusals = new Map<string, Refusal>();
  /** A cell may be another one, although nothing was journalled. */
  readonly #onRefused: () => void;

  constructor(compilable: readonly CompileProfile[], onRefused: () => void) {
    this.#compilable = compilable.map((profile) => ({ ...profile, architecture: architectureOf(profile) }));
    this.#onRefused = onRefused;
  }

  isRefused(module: Digest, profile: ProfileId): boolean {
    return this.#refusals.get(`${module} ${profile}`)?.isDue === false;
  }

  /** It could not be compiled. False: that was known before. */
  refuse(module: Digest, profile: ProfileId, { code, message }: WmError): boolean {
    const key = `${module} ${profile}`;
    const before = this.#refusals.get(key);
    this.#refusals.set(key, { code, message, isDue: false });
    if (before?.code === code && before.message === message) return false;
    this.#onRefused();
    return true;
  }

  /** It is compiled. */
  made(module: Digest, profile: ProfileId): void {
    this.#refusals.delete(`${module} ${profile}`);
  }

  /** What failed for reasons of this machine (a full disk, a key that is away) may be tried again. */
  tryPassing(): void {
    for (const refusal of this.#refusals.values()) if (!LASTING.includes(refusal.code)) refusal.isDue = true;
  }

  /** The bytes of this module are stored (again): that they were missing is no reason any more. */
  stored(module: Digest): void {
    for (const [key, { code }] of this.#refusals) if (code === 'WM_NOT_FOUND' && key.startsWith(`${module} `)) this.#refusals.delete(key);
  }

  /** Every cell, by module and version, then by architecture and level. Bound: modules times profiles. */
  cells(head: Head): readonly MatrixCell[] {
    const columns = this.#columns(head.profiles());
    return viewModules(head.state.modules).flatMap((version) => columns.map((column) => this.#cell(head.state.modules, version, column)));
  }

  /** What placement reads: which profiles have no code of this version, and why, by the name of the cell. */
  whyNotCompiled(state: ModulesState, version: ModuleVersion, profiles: readonly FleetProfile[]): ReadonlyMap<ProfileId, string> {
    const found = new Map<ProfileId, string>();
    for (const profile of profiles) {
      const cell = this.#cell(state, version, { ...profile, isUsed: true });
      if (cell.state === 'ready') continue;
      const why = cell.why.slice(0, WHY_LENGTH_MAX).replace(/\.$/, '');
      found.set(profile.profile, `has no code of ${nameOfCell(cell)}: ${why}`);
    }
    return found;
  }

  #columns(used: readonly FleetProfile[]): readonly Column[] {
    const unused = this.#compilable.filter(({ profile }) => !used.some((other) => other.profile === profile));
    const columns = [...used.map((column) => ({ ...column, isUsed: true })), ...unused.map((column) => ({ ...column, isUsed: false }))];
    return columns.sort((a, b) => rankOf(a) - rankOf(b) || (a.profile < b.profile ? -1 : 1));
  }

  #cell(state: ModulesState, { manifest, version }: ModuleVersion, { isUsed, ...column }: Column): MatrixCell {
    const artefact = findArtefact(state, manifest.digest, column.profile);
    const refusal = this.#refusals.get(`${manifest.digest} ${column.profile}`) ?? null;
    const isReady = artefact !== null;
    const features = findLevel(column.architecture, column.level)?.features ?? [];
    return {
      module: manifest.name,
      version,
      ...column,
      features,
      state: isReady ? 'ready' : refusal !== null ? 'refused' : isUsed ? 'waiting' : 'unused',
      artefact: artefact?.statement.artefact ?? null,
      sizeBytes: artefact?.statement.sizeBytes ?? null,
      compileMicros: artefact?.compileMicros ?? null,
      code: isReady ? null : (refusal?.code ?? null),
      why: isReady ? '' : (refusal?.message ?? (isUsed ? 'It is not compiled yet.' : 'No node has this level.')),
    };
  }
}

function architectureOf({ level }: CompileProfile): Architecture {
  const found = ARCHITECTURES.find((architecture) => findLevel(architecture, level) !== null);
  assert(found !== undefined, `${level} is a level of an architecture`);
  return found;
}

/** Architectures and levels in the order in which they are declared. */
function rankOf({ architecture, level }: FleetProfile): number {
  const levels = ISA_LEVELS[architecture];
  return ARCHITECTURES.indexOf(architecture) * 100 + levels.findIndex(({ name }) => name === level);
}
