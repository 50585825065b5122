// What a fleet says of the heat and the batteries of its nodes, as values; and the same in words.
import type { Path, Source } from './mistakes.ts';
import type { BatterySpec, ThermalSpec } from './scenario.ts';
import { isRecord } from './shape.ts';
import { parseDuration, parseRatio, writeDuration } from './units.ts';

/** Where nothing is said: a small fanless computer in a warm cabinet. */
const AMBIENT_CELSIUS = 30;
const FULL_CELSIUS = 110;
const LIMIT_CELSIUS = 85;
const COOLED_CELSIUS = 10;
const FACTOR = 3;
const LOW_PERMILLE = 200;
const PERMILLE = 1_000;
/** Bound: the model takes steps of a tenth of a second, which must be short beside it. */
const CONSTANT_MICROS_MIN = 1_000_000;

export function thermalOf(source: Source, value: unknown, path: Path): ThermalSpec | null {
  if (!isRecord(value)) return null;
  const number = (name: string, fallback: number): number => (typeof value[name] === 'number' ? value[name] : fallback);
  const ambientCelsius = number('ambient', AMBIENT_CELSIUS);
  const limitCelsius = number('limit', LIMIT_CELSIUS);
  const thermal: ThermalSpec = {
    ambientCelsius,
    fullCelsius: number('full', FULL_CELSIUS),
    constantMicros: parseDuration(String(value['constant'])) ?? 0,
    limitCelsius,
    releaseCelsius: number('release', limitCelsius - COOLED_CELSIUS),
    factor: number('factor', FACTOR),
  };
  if (thermal.constantMicros < CONSTANT_MICROS_MIN)
    source.mistake([...path, 'constant'], `found ${JSON.stringify(value['constant'])}, expected 1s or more`);
  if (!(ambientCelsius < thermal.releaseCelsius && thermal.releaseCelsius < limitCelsius && limitCelsius < thermal.fullCelsius))
    source.mistake(path, 'expected ambient < release < limit < full: else it never gets hot, or never cools down');
  return thermal;
}

export function batteryOf(source: Source, value: unknown, path: Path): BatterySpec | null {
  if (!isRecord(value)) return null;
  const lasting = (name: string): number => {
    const micros = parseDuration(String(value[name])) ?? 0;
    if (micros === 0) source.mistake([...path, name], 'found no time, expected more than 0');
    return micros || 1;
  };
  const low = value['low'] === undefined ? null : parseRatio(String(value['low']));
  if (value['low'] !== undefined && low === null)
    source.mistake([...path, 'low'], `found ${JSON.stringify(value['low'])}, expected a part of 1`);
  const fullMicros = lasting('full');
  const battery: BatterySpec = {
    fullMicros,
    idleMicros: lasting('idle'),
    lowPermille: low === null ? LOW_PERMILLE : Math.round((low[0] * PERMILLE) / low[1]),
    factor: typeof value['factor'] === 'number' ? value['factor'] : FACTOR,
    chargeMicros: value['charge'] === undefined ? null : lasting('charge'),
  };
  if (battery.idleMicros < fullMicros)
    source.mistake([...path, 'idle'], 'expected it to last at least as long with nothing to do as with all cores busy');
  return battery;
}

export function thermalText({ ambientCelsius, fullCelsius, constantMicros, limitCelsius, releaseCelsius, factor }: ThermalSpec): string {
  return `heats from ${ambientCelsius} to ${fullCelsius} degrees in the manner of ${writeDuration(constantMicros)}, ${factor} times slower from ${limitCelsius} to ${releaseCelsius}`;
}

export function batteryText({ fullMicros, idleMicros, lowPermille, factor, chargeMicros }: BatterySpec): string {
  const charge = chargeMicros === null ? 'the end of the work' : `${writeDuration(chargeMicros)} on the charger`;
  return `battery for ${writeDuration(fullMicros)} of work or ${writeDuration(idleMicros)} of none, ${factor} times slower from ${lowPermille / 10} %, empty until ${charge}`;
}
