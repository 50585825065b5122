// ISA feature levels as data: closed, ordered, and what a machine's features make of them (R11.3).
import { describe, expect, test } from 'vitest';
import { findLevel, ISA_LEVEL_NAMES, ISA_LEVELS, knownFeatures, levelOf } from '../../../system/domain/isa.ts';
import { ARCHITECTURES } from '../../../system/domain/node.ts';

describe('the levels', () => {
  test('have one name each over all architectures', () => {
    expect(new Set(ISA_LEVEL_NAMES).size).toBe(ISA_LEVEL_NAMES.length);
    for (const architecture of ARCHITECTURES)
      for (const level of ISA_LEVELS[architecture]) expect(findLevel(architecture, level.name)).toBe(level);
    expect(findLevel('aarch64', 'x86-64-v3')).toBe(null);
  });

  test('begin with a baseline of nothing, and each has all of the one below it, and more', () => {
    for (const architecture of ARCHITECTURES) {
      const [baseline, ...higher] = ISA_LEVELS[architecture];
      expect(baseline?.features).toEqual([]);
      let below = baseline!;
      for (const level of higher) {
        expect(level.features).toEqual([...new Set(level.features)].sort());
        expect(below.features.every((feature) => level.features.includes(feature))).toBe(true);
        expect(level.features.length).toBeGreaterThan(below.features.length);
        below = level;
      }
    }
  });
});

describe('the level of a machine', () => {
  test('is the highest of which it has everything', () => {
    for (const architecture of ARCHITECTURES) {
      expect(levelOf(architecture, [])).toBe(ISA_LEVELS[architecture][0]);
      expect(levelOf(architecture, [...knownFeatures(architecture), 'unheard-of'])).toBe(ISA_LEVELS[architecture].at(-1));
      for (const level of ISA_LEVELS[architecture]) {
        expect(levelOf(architecture, level.features)).toBe(level);
        for (const missing of level.features)
          expect(
            levelOf(
              architecture,
              level.features.filter((feature) => feature !== missing),
            ).features,
          ).not.toContain(missing);
      }
    }
  });

  test('is not raised by a feature without those below it', () => {
    expect(levelOf('x86_64', ['avx2', 'fma']).name).toBe('x86-64');
    expect(levelOf('riscv64', ['v']).name).toBe('rv64gc');
  });
});
