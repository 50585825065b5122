// What an operator applies: a list of deployments and triggers, in the same words as the steps of a scenario, so that what was
// tried in the simulator is what runs. Either the whole file is right or all its mistakes come back with their places.
// Pure: reading files is for the caller.
import type { DeploymentSpec, TriggerSpec } from '../system/domain/deployment.ts';
import { ok, type Outcome } from '../system/domain/outcome.ts';
import { kindOf, Source, type SourceKind } from './mistakes.ts';
import { checkManifestEntry, isRecord } from './shape.ts';
import { resolveStep } from './steps.ts';

const KINDS = ['deploy', 'trigger'] as const;
const MANIFEST: SourceKind = {
  code: 'WM_DEPLOYMENT_INVALID',
  next: 'Correct the file; docs/reference/manifests.md describes every field.',
};
/** Bound: entries of one manifest. */
const ENTRIES_MAX = 1_000;

export type Manifest = {
  readonly deployments: readonly DeploymentSpec[];
  /** In the order of the file; each is applied after all deployments. */
  readonly triggers: readonly TriggerSpec[];
};

export function loadManifest(written: { readonly file: string; readonly text: string }): Outcome<Manifest> {
  const source = new Source(written.file, written.text, MANIFEST);
  if (source.faulty) return source.error();
  const value = source.value();
  const isList = Array.isArray(value);
  const entries: readonly unknown[] = isList ? value : isRecord(value) ? [value] : [];
  if (entries.length === 0) {
    const found = isList || value === null || value === undefined ? 'the file is empty;' : `found ${kindOf(value)},`;
    source.mistake([], `${found} expected a list of entries that begin with \`deploy:\` or \`trigger:\``);
  }
  if (entries.length > ENTRIES_MAX) source.mistake([], `${entries.length} entries are more than ${ENTRIES_MAX}; split the file`);
  if (source.faulty) return source.error();
  const deployments = new Map<string, DeploymentSpec>();
  const triggers = new Map<string, TriggerSpec>();
  entries.forEach((entry, i) => {
    const path = isList ? [i] : [];
    if (!checkManifestEntry(source, entry, path, KINDS) || source.faulty || !isRecord(entry)) return;
    const step = resolveStep(source, entry, path);
    if (step?.do !== 'deploy' && step?.do !== 'trigger') return;
    const { name } = step.spec;
    const known: ReadonlyMap<string, unknown> = step.do === 'deploy' ? deployments : triggers;
    if (known.has(name)) source.mistake([...path, step.do], `'${name}' stands twice in this file`);
    else if (step.do === 'deploy') deployments.set(name, step.spec);
    else triggers.set(name, step.spec);
  });
  return source.faulty ? source.error() : ok({ deployments: [...deployments.values()], triggers: [...triggers.values()] });
}
