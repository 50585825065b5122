// Where in the source something was done, from the stack of an error that was made there: a place of the product before one of
// the simulated ports, and never one of the kernel, which is in every stack.

const KERNEL = /(\S*?)sim\/kernel\/[\w-]+\.[jt]s:\d+:\d+/;
const PLACE = /\(?(\S+:\d+:\d+)\)?$/;

/** `agents/agent.ts:12:3`, with `, for <place>` where simulated ports stand between; null without a stack that says so. */
export function placeOf(error: Error | null): string | null {
  const frames = (error?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const root = frames.map((frame) => KERNEL.exec(frame)?.[1]).find((found) => found !== undefined);
  if (root === undefined) return null;
  const places = frames.flatMap((frame) => {
    const place = PLACE.exec(frame)?.[1] ?? '';
    const within = place.slice(place.startsWith('(') ? 1 : 0);
    const bare = root.replace(/^\(/, '');
    return within.startsWith(bare) ? [within.slice(bare.length)] : [];
  });
  const outside = places.filter((place) => !place.startsWith('sim/kernel/'));
  const product = outside.find((place) => !place.startsWith('sim/'));
  const nearest = outside[0];
  if (nearest === undefined) return null;
  return product === undefined || product === nearest ? nearest : `${nearest}, for ${product}`;
}
