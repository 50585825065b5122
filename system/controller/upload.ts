// An upload from its bytes to the entries that make it deployable: checked, stored, compiled for every enrolled profile, checked
// again against what the trust store says by then.
import type { OperatorCommand } from '../domain/operator.ts';
import type { ModuleVersion, SignedArtefact } from '../domain/module.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import { checkUpload, findArtefact } from '../modules/modules.ts';
import { compileAndSign, type Compiler, type CompilerPorts } from './compiler.ts';
import type { Head } from './head.ts';
import type { Matrix } from './matrix.ts';
import type { Entry } from './state.ts';

export type Push = Extract<OperatorCommand, { readonly kind: 'module-push' }>;

/** Codes that say something about the module rather than about this machine or profile. */
const MODULE_FAULTS: readonly string[] = ['WM_MODULE_INVALID', 'WM_MODULE_IMPORT'];

/** Checks, stores and compiles; takes time. What it returns is planned into entries in the turn that commits them. */
export async function prepareUpload(
  ports: CompilerPorts,
  head: Head,
  tools: { readonly matrix: Matrix; readonly compiler: Compiler },
  push: Push,
): Promise<Outcome<readonly SignedArtefact[]>> {
  const checked = checkUpload(head.state.modules, push, ports.keys, ports.wasm);
  if (!checked.ok) return checked;
  const { manifest } = checked.value;
  const stored = await ports.storage.blobs.put(manifest.digest, push.bytes);
  if (!stored.ok) return stored;
  const { matrix, compiler } = tools;
  matrix.stored(manifest.digest);
  const artefacts: SignedArtefact[] = [];
  for (const { profile, target } of head.profiles()) {
    if (findArtefact(head.state.modules, manifest.digest, profile) !== null || matrix.isRefused(manifest.digest, profile)) continue;
    const compiled = await compileAndSign(ports, manifest.digest, push.bytes, profile, target);
    if (compiled.ok) artefacts.push(compiled.value);
    else if (MODULE_FAULTS.includes(compiled.error.code)) return compiled;
    else compiler.refuse(manifest, profile, compiled.error);
  }
  return ok(artefacts);
}

/** Checks again, since the trust store may have changed while it was compiled (P3), and numbers the version. */
export function planUpload(
  ports: CompilerPorts,
  head: Head,
  push: Push,
  artefacts: readonly SignedArtefact[],
): Outcome<{ readonly version: number; readonly entries: readonly Entry[] }> {
  const checked = checkUpload(head.state.modules, push, ports.keys, ports.wasm);
  if (!checked.ok) return checked;
  const { name } = push.manifest;
  const version = (head.state.modules.versions.get(name)?.length ?? 0) + 1;
  const stored: ModuleVersion = { ...checked.value, version };
  const signed = artefacts.map((artefact): Entry => ({ kind: 'module-artefact', module: name, version, artefact }));
  return ok({ version, entries: [{ kind: 'module-stored', version: stored }, ...signed] });
}
