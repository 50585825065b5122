// Which artefacts on disk go: those that nothing desires, beyond a bound, the longest undesired first.
import type { Digest } from '../../system/domain/identifiers.ts';

/** `spare` is ordered by when it stopped being desired, oldest first. */
export function planEviction(spare: readonly Digest[], desired: ReadonlySet<Digest>, spareMax: number): readonly Digest[] {
  const idle = spare.filter((digest) => !desired.has(digest));
  return idle.slice(0, Math.max(0, idle.length - spareMax));
}
