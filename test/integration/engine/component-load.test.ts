import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { componentText, hostText } from '../../../hardware/conformance/component-text.ts';
import { COMPONENT_MODULES } from '../../../hardware/conformance/components.ts';
import type { Engine, EngineAddon, EngineModule } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, OPTIONS, PROFILE, codeOf, engineAddon, loadText } from './fixture.ts';

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

describe('describing and loading a component', () => {
  const foreign = `(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func)))))`;

  it('names what it imports and exports, and what of that guests are given', () => {
    const text = componentText({ uses: ['now'], body: '(func (export "go"))', lifted: [{ name: 'go' }] });
    const { component, imports, exports } = engine.describe(addon.parseText(text));
    expect(component).toBe(true);
    expect(imports).toContainEqual({ module: 'wasi:clocks/monotonic-clock@0.2.9', name: 'now', kind: 'function', offered: true });
    expect(imports.every(({ offered }) => offered)).toBe(true);
    expect(exports).toEqual([{ name: 'go', kind: 'function' }]);
    const command = componentText({ body: '(func (export "go") (result i32) (i32.const 0))', lifted: [], run: 'go' });
    expect(engine.describe(addon.parseText(command)).exports).toEqual([{ name: 'wasi:cli/run@0.2.0#run', kind: 'function' }]);
  });

  it.each([
    ['an interface that is not offered', foreign, 'wasi:http/outgoing-handler@0.2.0', 'handle'],
    [
      'a function that the interface does not have',
      '(component (import "wasi:cli/exit@0.2.0" (instance (export "abort" (func)))))',
      'wasi:cli/exit@0.2.0',
      'abort',
    ],
    [
      'another version',
      '(component (import "wasi:cli/exit@0.3.0" (instance (export "exit" (func (param "status" (result)))))))',
      'wasi:cli/exit@0.3.0',
      'exit',
    ],
    [
      'another draft',
      '(component (import "wasi:keyvalue/store@0.2.0-draft9" (instance (export "open" (func)))))',
      'wasi:keyvalue/store@0.2.0-draft9',
      'open',
    ],
    ['a function of no interface', '(component (import "ask" (func)))', '', 'ask'],
    ['a core module', '(component (import "code" (core module)))', '', 'code'],
  ])('refuses %s', (_what, text, module, name) => {
    const binary = addon.parseText(text);
    expect(engine.describe(binary).imports).toContainEqual(expect.objectContaining({ module, name, offered: false }));
    const load = (): EngineModule => engine.load(engine.compile(binary));
    expect(codeOf(load)).toBe('WM_ENGINE_IMPORT');
    expect(load).toThrow(`'${name}'`);
  });

  it('refuses a function of another type than the interface has', () => {
    const text = '(component (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u32))))))';
    expect(codeOf(() => loadText(addon, engine, text))).toBe('WM_ENGINE_IMPORT');
  });

  it('refuses one without an entry when it is started, and functions that take or give something', () => {
    using module = loadText(addon, engine, componentText({ body: '(func (export "go"))', lifted: [{ name: 'go' }] }));
    expect(codeOf(() => module.start(OPTIONS))).toBe('WM_ENGINE_ENTRY');
    using taking = loadText(
      addon,
      engine,
      `(component (core module $m (func (export "f") (param i32))) (core instance $i (instantiate $m))
        (func (export "take") (param "x" u32) (canon lift (core func $i "f"))))`,
    );
    expect(codeOf(() => taking.start({ ...OPTIONS, entry: 'take' }))).toBe('WM_ENGINE_ENTRY');
  });

  it('refuses what is no component, one that asks for features that are off, and an artefact of another profile', () => {
    const binary = addon.parseText('(component)');
    const whole = addon.parseText(COMPONENT_MODULES[0]?.text ?? '');
    expect(codeOf(() => engine.compile(whole.subarray(0, whole.length - 9)))).toBe('WM_ENGINE_INVALID');
    const threads = `(component (core module (memory 1 2 shared)))`;
    expect(codeOf(() => engine.describe(addon.parseText(threads)))).toBe('WM_ENGINE_INVALID');
    using other = addon.createEngine({ ...PROFILE, poolSlots: 4 });
    expect(codeOf(() => engine.load(other.compile(binary)))).toBe('WM_ENGINE_PROFILE_MISMATCH');
    const artefact = engine.compile(binary);
    expect(codeOf(() => engine.load(artefact.subarray(0, artefact.length - 100)))).toBe('WM_ENGINE_ARTEFACT');
  });

  it('refuses more memories than a guest may have', () => {
    const memories = Array.from({ length: 5 }, (_, i) => `(core module $m${i} (memory 1)) (core instance (instantiate $m${i}))`).join(' ');
    expect(codeOf(() => loadText(addon, engine, `(component ${memories})`))).not.toBeNull();
  });

  it('makes the same artefact of it for every target on this machine, twice', () => {
    for (const target of ['aarch64-unknown-linux-gnu', 'riscv64gc-unknown-linux-gnu']) {
      using cross = addon.createEngine({ ...PROFILE, target });
      const binary = addon.parseText(`(component $C ${hostText(['get', 'open'])})`);
      expect(Buffer.from(cross.compile(binary)).equals(Buffer.from(cross.compile(binary)))).toBe(true);
    }
  });
});
