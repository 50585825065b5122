// Whom a fault is about, from its target as records write it: machines and zones with spaces between, the two sides of what lies
// between them as `a | b`, or `a -> b` where it has a direction.

export type Place = { readonly machine: string; /** Empty where it is not known. */ readonly zone: string };

const SIDES = / (?:\||->) /;

/** Whether a machine is named, or the zone that it is in. */
export function concerns(target: string, { machine, zone }: Place): boolean {
  return target.split(/[\s,|]+/).some((word) => word === machine || (word !== '' && (zone === word || zone.startsWith(`${word}/`))));
}

/** Whether a fault comes between two machines: on either of them, or with one on each of its sides. */
export function parts(target: string, a: Place, b: Place): boolean {
  const [left, right] = target.split(SIDES);
  if (left === undefined || right === undefined) return concerns(target, a) || concerns(target, b);
  return (concerns(left, a) && concerns(right, b)) || (concerns(left, b) && concerns(right, a));
}
