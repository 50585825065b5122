// The choice of scenarios that emulated processors play: nothing is missing from it, and it is a part of the whole that is worth choosing.
import { describe, expect, it } from 'vitest';
import { coverOf, partsOf, stepsOf } from '../../../scenarios/cover.ts';
import { withoutLarge } from '../../../scenarios/listing.main.ts';
import { FAULT_KINDS } from '../../../scenarios/scenario.ts';
import { catalogueFiles, readScenarios } from '../../../sim/campaign/library.main.ts';

const CATALOGUE = withoutLarge(readScenarios(catalogueFiles()).scenarios, [], undefined);
const sum = (scenarios: typeof CATALOGUE): number => scenarios.reduce((total, scenario) => total + stepsOf(scenario), 0);

describe('the scenarios that are played on other architectures', () => {
  const chosen = coverOf(CATALOGUE);
  const parts = new Set(chosen.flatMap(partsOf));

  it('have every part that any scenario has, and every kind of fault among them', () => {
    expect([...new Set(CATALOGUE.flatMap(partsOf))].filter((part) => !parts.has(part))).toEqual([]);
    expect(FAULT_KINDS.filter((kind) => !parts.has(`fault ${kind}`))).toEqual([]);
  });

  it('have every law of latency, and what the fleet does by itself', () => {
    for (const law of ['constant', 'uniform', 'normal', 'log-normal', 'exponential', 'empirical']) expect(parts).toContain(`law ${law}`);
    for (const part of ['heat', 'battery', 'wrong clock', 'vehicles', 'curve', 'guest modelled']) expect(parts).toContain(part);
  });

  it('take less than half as long as all of them', () => {
    expect(sum(chosen)).toBeLessThan(sum(CATALOGUE) / 2);
  });

  it('do not depend on the order in which the catalogue is read, but for its own', () => {
    const names = coverOf(CATALOGUE.toReversed()).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(coverOf(CATALOGUE.toReversed()).flatMap(partsOf))).toEqual(parts);
  });

  it('leave out what adds nothing', () => {
    const [one] = CATALOGUE;
    expect(one).toBeDefined();
    expect(
      coverOf(CATALOGUE.slice(0, 1).flatMap((scenario) => [scenario, { ...scenario, name: 'again' }])).map(({ name }) => name),
    ).toEqual([one?.name]);
  });
});
