// What a comparison is made of: each machine is a part, and all play side by side. A part that fails is named in the verdict and takes
// nothing from what the others have played; only the reference ends them all, as nothing can be compared without it.
import { failed, ok, rejected, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import type { Machine } from './conformance.ts';

/** How the verdict calls it. */
export type PartName = Pick<Machine, 'name' | 'architecture' | 'tier'>;

export type Part = PartName & { readonly play: (signal: AbortSignal) => Promise<Outcome<Machine>> };

/** A part that came to nothing, and why. */
export type FailedPart = PartName & { readonly error: WmError };

export type PartsPlayed = { readonly machines: readonly [Machine, ...Machine[]]; readonly failed: readonly FailedPart[] };

/** WM_CANCELLED where `signal` ended it; otherwise only what failed of the reference. `tell` hears at once of each part that failed. */
export async function playParts(
  reference: Part,
  others: readonly Part[],
  { signal, tell }: { readonly signal: AbortSignal; readonly tell: (part: FailedPart) => void },
): Promise<Outcome<PartsPlayed>> {
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const play = async ({ play: begin, ...name }: Part): Promise<Machine | FailedPart> => {
    const played = await begin(either).catch((error: unknown) => failed('WM_CONFORMANCE', unforeseen(error)));
    if (played.ok) return played.value;
    const part = { ...name, error: played.error };
    // What is ended with the others has not failed.
    if (!either.aborted) tell(part);
    return part;
  };
  const [first, ...rest] = await Promise.all([
    play(reference).then((one) => {
      if ('error' in one) ending.abort();
      return one;
    }),
    ...others.map(play),
  ]);
  if (signal.aborted)
    return rejected('WM_CANCELLED', {
      message: 'The comparison was stopped by the user.',
      next: 'Start it again; what was built is kept.',
    });
  if ('error' in first) return { ok: false, error: first.error };
  const machines = rest.flatMap((one) => ('error' in one ? [] : [one]));
  return ok({ machines: [first, ...machines], failed: rest.flatMap((one) => ('error' in one ? [one] : [])) });
}

function unforeseen(error: unknown): { readonly message: string; readonly next: string } {
  return {
    message: `It did not come to its end: ${error instanceof Error ? error.message : String(error)}.`,
    next: 'Make room in the temporary folder, or repeat.',
  };
}
