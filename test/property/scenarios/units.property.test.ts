// Text with a unit means one number, and nothing else means any.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseDuration,
  parseRatio,
  parseShift,
  parseSize,
  writeDuration,
  writeRatio,
  writeShift,
  writeSize,
} from '../../../scenarios/units.ts';

const MICROS = { us: 1, ms: 1_000, s: 1_000_000, m: 60_000_000 } as const;
const BYTES = { B: 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 } as const;
const durationUnit = fc.constantFrom(...(Object.keys(MICROS) as (keyof typeof MICROS)[]));
const sizeUnit = fc.constantFrom(...(Object.keys(BYTES) as (keyof typeof BYTES)[]));
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

describe('durations', () => {
  it('are whole microseconds in every unit', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), durationUnit, (n, unit) => {
        expect(parseDuration(`${n}${unit}`)).toBe(n * MICROS[unit]);
      }),
    );
  });

  it('with decimals are rounded to the nearest microsecond', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(999), durationUnit, (whole, thousandths, unit) => {
        const micros = parseDuration(`${whole}.${String(thousandths).padStart(3, '0')}${unit}`);
        const exact = (whole * 1_000 + thousandths) * (MICROS[unit] / 1_000);
        expect(Number.isInteger(micros)).toBe(true);
        expect(Math.abs((micros ?? Number.NaN) - exact)).toBeLessThanOrEqual(0.5 + 1e-6);
      }),
    );
  });

  it('say the same in the next smaller unit', () => {
    fc.assert(
      fc.property(fc.nat(100_000), (n) => {
        expect(parseDuration(`${n}ms`)).toBe(parseDuration(`${n * 1_000}us`));
        expect(parseDuration(`${n}s`)).toBe(parseDuration(`${n * 1_000}ms`));
        expect(parseDuration(`${n}m`)).toBe(parseDuration(`${n * 60}s`));
      }),
    );
  });
});

describe('sizes', () => {
  it('are whole bytes in every unit, and have no decimals', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(9), sizeUnit, (n, tenth, unit) => {
        expect(parseSize(`${n}${unit}`)).toBe(n * BYTES[unit]);
        expect(parseSize(`${n}.${tenth}${unit}`)).toBeNull();
      }),
    );
  });
});

describe('chances', () => {
  it('are ratios of whole numbers, at most 1', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 10_000 }), (numerator, denominator) => {
        expect(parseRatio(`${numerator}/${denominator}`)).toEqual(numerator <= denominator ? [numerator, denominator] : null);
      }),
    );
    expect(parseRatio('1/0')).toBeNull();
  });

  it('mean the same as a percentage and as a fraction', () => {
    fc.assert(
      fc.property(fc.nat(100_000), (thousandths) => {
        const ratio = parseRatio(`${Math.floor(thousandths / 1_000)}.${String(thousandths % 1_000).padStart(3, '0')}%`);
        const common = gcd(thousandths, 100_000);
        expect(ratio).not.toBeNull();
        const [numerator = 0, denominator = 1] = ratio ?? [];
        expect([numerator / gcd(numerator, denominator), denominator / gcd(numerator, denominator)]).toEqual([
          thousandths / common,
          100_000 / common,
        ]);
      }),
    );
    expect(parseRatio('100.1%')).toBeNull();
  });
});

it('any other text means nothing', () => {
  const unlike = fc.string().filter((text) => !/^\d+(\.\d+)?(us|ms|s|m|%)$|^\d+(B|KiB|MiB|GiB)$|^\d+\/\d+$/.test(text));
  fc.assert(fc.property(unlike, (text) => parseDuration(text) === null && parseSize(text) === null && parseRatio(text) === null));
  for (const text of ['', 's', '1', '1 s', ' 1s', '1s\n', '-1s', '1e3s', '0x1s', '1.s', '.5s', '1S', '١s'])
    expect(parseDuration(text), text).toBeNull();
});

describe('what is written', () => {
  it('is read back as the same', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000_000), fc.constantFrom(1, 1_000, 1_000_000, 60_000_000), (n, unit) => {
        const micros = Math.floor(n / unit) * unit;
        expect(parseDuration(writeDuration(micros)), writeDuration(micros)).toBe(micros);
        expect([parseShift(writeShift(micros)), parseShift(writeShift(-micros))]).toEqual([micros, -micros || 0]);
      }),
    );
    fc.assert(fc.property(fc.nat(), sizeUnit, (n, unit) => parseSize(writeSize((n % 1_000) * BYTES[unit])) === (n % 1_000) * BYTES[unit]));
    fc.assert(
      fc.property(fc.nat(1_000), fc.integer({ min: 1_000, max: 10_000 }), (numerator, denominator) => {
        expect(parseRatio(writeRatio([numerator, denominator]))).toEqual([numerator, denominator]);
      }),
    );
  });

  it('is short', () => {
    expect([0, 40, 1_500, 250_000, 1_500_000, 60_000_000, 180_000_000, 1_000_001].map(writeDuration)).toEqual([
      '0s',
      '40us',
      '1500us',
      '250ms',
      '1.5s',
      '60s',
      '3m',
      '1000001us',
    ]);
    expect([0, 100, 65_536, 1_536, 536_870_912].map(writeSize)).toEqual(['0B', '100B', '64KiB', '1536B', '512MiB']);
  });
});
