// Makes the conformance set as files: modules as binaries, and `set.json`. What is played everywhere are these bytes.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuiltExample } from '../../scenarios/examples/build.ts';
import type { EngineAddon } from '../wasm/native/native.ts';
import { ACCESS_MODULES } from './accesses.ts';
import { BEHAVIOUR_MODULES, COPIES_OF_KNOWN_SIZES } from './behaviour.ts';
import { COMPONENT_MODULES } from './components.ts';
import { ISA_LEVELS } from '../../system/domain/isa.ts';
import { plain, type ConformanceModule, type ConformanceSet } from './case.ts';
import { generate } from './generated.ts';
import { NUMBER_MODULES, type TextModule } from './numbers.ts';
import { VECTOR_MODULES } from './vectors.ts';

/** Of each kind. */
const GENERATED_MODULES = 3;
const GENERATED_EXPRESSIONS = 150;
/** There the compiler has no code for vectors, nor, by a fault of its own, for copies of some sizes that it knows. */
const WITHOUT_VECTORS = ISA_LEVELS.riscv64.filter(({ features }) => !features.includes('v')).map(({ name }) => name);
const INPUTS = ['', '{"v": 27, "a": -8, "id": 3}', '{"v": 5, "a": 0, "id": 12345678901234567890}', 'x'.repeat(3_000)];

/** All modules that are written as text. */
export function textModules(): readonly TextModule[] {
  const generated = Array.from({ length: GENERATED_MODULES }, (_, i) => i + 1).flatMap((seed) => [
    generate('numbers', seed, GENERATED_EXPRESSIONS),
    generate('vectors', seed, GENERATED_EXPRESSIONS),
  ]);
  return [...NUMBER_MODULES, ...VECTOR_MODULES, ...ACCESS_MODULES, ...BEHAVIOUR_MODULES, ...COMPONENT_MODULES, ...generated];
}

export function writeSet(addon: EngineAddon, examples: ReadonlyMap<string, BuiltExample>, folder: string): ConformanceSet {
  mkdirSync(folder, { recursive: true });
  const modules: ConformanceModule[] = [];
  for (const { name, group, text, cases } of textModules()) {
    const wasm = `${name.replaceAll(' ', '-')}.wasm`;
    writeFileSync(join(folder, wasm), addon.parseText(text));
    modules.push({ name, group, wasm, mayLackCode: needsVectors(name, text) ? WITHOUT_VECTORS : [], cases });
  }
  for (const [name, { wasmPath }] of examples) {
    const wasm = `example-${name}.wasm`;
    copyFileSync(wasmPath, join(folder, wasm));
    const cases = INPUTS.map((input, i) =>
      plain(`input ${i + 1}`, '_start', {
        stdin: Buffer.from(input).toString('base64'),
        fuelMax: 30_000_000,
        fuelSlice: 100_000,
        args: [name],
        env: [
          ['WM_EVENT_ID', `event-${i + 1}`],
          ['WM_EVENT_SUBJECT', 'questions.plain'],
          ['WM_TRIGGER', name],
          ['WM_ATTEMPT', '1'],
        ],
      }),
    );
    modules.push({ name: `example ${name}`, group: 'examples', wasm, mayLackCode: [], cases });
  }
  const set = { modules };
  writeFileSync(join(folder, 'set.json'), JSON.stringify(set));
  return set;
}

/** Whether the compiler makes code of it with vectors alone. */
export function needsVectors(name: string, text: string): boolean {
  return text.includes('v128') || name === COPIES_OF_KNOWN_SIZES;
}
