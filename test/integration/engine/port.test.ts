import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineWasm, SynchronousEngine, type ProfileCompiler } from '../../../hardware/wasm/wasm.ts';
import type { Engine, EngineAddon } from '../../../hardware/wasm/native/native.ts';
import type { ProfileId } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { CompileProfile, Guest, GuestOptions, GuestStep } from '../../../system/ports/wasm.ts';
import { componentText } from '../../../hardware/conformance/component-text.ts';
import { BUILD_TIMEOUT_MS, PROFILE, engineAddon, workText } from './fixture.ts';

const OPTIONS: GuestOptions = {
  args: ['guest'],
  environment: [['SITE', 'depot']],
  stdin: new Uint8Array(0),
  fuelMax: 10_000_000,
  memoryBytesMax: 1 << 20,
  outputBytesMax: 1_024,
  randomSeed: new Uint8Array(32),
  granted: { clock: true, random: true, sleep: true },
};
const clock = { monotonicMicros: () => 1_000, civilMs: () => 1_700_000_000_000, sleep: () => Promise.resolve() };

let addon: EngineAddon;
let engine: Engine;
let foreign: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
  foreign = addon.createEngine({ ...PROFILE, target: 'riscv64gc-unknown-linux-gnu' });
}, BUILD_TIMEOUT_MS);

afterAll(() => {
  engine?.close();
  foreign?.close();
});

function value<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}

function code(outcome: Outcome<unknown>): string | null {
  return outcome.ok ? null : outcome.error.code;
}

function profileOf(made: Engine): CompileProfile {
  return { profile: made.profileId as ProfileId, target: made.target, level: made === engine ? 'x86-64' : 'rv64gc' };
}

function compilerOf(made: Engine): ProfileCompiler {
  return { profile: profileOf(made), takesVectors: made === engine, open: () => made };
}

async function codeOfModule(wasm: EngineWasm, text: string): Promise<Uint8Array> {
  return value(await wasm.compile(addon.parseText(text), wasm.profile.profile)).artefact;
}

async function finish(guest: Guest): Promise<GuestStep> {
  let step = await guest.resume(null);
  while (step.kind === 'sliced') step = await guest.resume(null);
  return step;
}

for (const legs of ['inline', 'worker'] as const) {
  describe(`the port with ${legs} legs`, () => {
    const port = (): EngineWasm =>
      new EngineWasm({
        engine,
        profile: profileOf(engine),
        compilers: [engine, foreign].map(compilerOf),
        clock,
        legs,
        fuelSlice: 5_000,
        fuelPerMicro: 1_000,
      });

    it('compiles, loads and runs', async () => {
      const wasm = port();
      const module = value(await wasm.load(await codeOfModule(wasm, workText(1_000))));
      expect(module.imports).toEqual([{ module: 'wasi_snapshot_preview1', name: 'fd_write' }]);
      const guest = value(module.start(OPTIONS));
      expect(wasm.guests()).toEqual({ open: 1, max: PROFILE.poolSlots });
      expect(await finish(guest)).toEqual({ kind: 'returned', exitCode: 0 });
      expect(guest.stdout().length).toBe(8);
      expect(guest.fuelUsed).toBeGreaterThan(5_000);
      guest.close();
      module.close();
      expect(code(module.start(OPTIONS))).toBe('WM_GUEST_CLOSED');
    });

    it('compiles, loads and runs a component', async () => {
      const wasm = port();
      const text = componentText({
        uses: ['get'],
        body: '(func (export "go") (result i32) (call $out (i32.const 32768) (i32.const 5)) (i32.const 0))',
        data: 'hello',
        lifted: [],
        run: 'go',
      });
      const module = value(await wasm.load(await codeOfModule(wasm, text)));
      expect(value(wasm.inspect(addon.parseText(text)))).toEqual(module.imports);
      expect(module.imports).toContainEqual({ module: 'wasi:keyvalue/store@0.2.0-draft2', name: '[method]bucket.get' });
      const guest = value(module.start(OPTIONS));
      expect(await finish(guest)).toEqual({ kind: 'returned', exitCode: 0 });
      expect(Buffer.from(guest.stdout()).toString()).toBe('hello');
      guest.close();
      expect(wasm.guests().open).toBe(0);
      expect(value(await wasm.compile(addon.parseText(text), foreign.profileId as ProfileId)).artefact.length).toBeGreaterThan(1_000);
      module.close();
    });

    it('refuses a component that imports what no guest is given, by name', async () => {
      const wasm = port();
      const text = '(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func)))))';
      const refused = wasm.inspect(addon.parseText(text));
      expect(refused.ok ? 'ok' : refused.error).toMatchObject({
        code: 'WM_MODULE_IMPORT',
        message: "The component imports the function 'wasi:http/outgoing-handler@0.2.0' 'handle', which no guest is given.",
      });
      expect(code(await wasm.compile(addon.parseText(text), wasm.profile.profile))).toBe('WM_MODULE_IMPORT');
    });

    it('compiles for other machines, and refuses their artefacts', async () => {
      const wasm = port();
      expect(wasm.profiles.map(({ target }) => target)).toEqual([addon.build.host, 'riscv64gc-unknown-linux-gnu']);
      const { artefact } = value(await wasm.compile(addon.parseText(workText(10)), foreign.profileId as ProfileId));
      expect(code(await wasm.load(artefact))).toBe('WM_PROFILE_MISMATCH');
      expect(code(await wasm.compile(addon.parseText(workText(10)), 'unknown' as ProfileId))).toBe('WM_PROFILE_MISMATCH');
    });

    it('refuses vectors to a machine that has none, before the compiler would give up', async () => {
      const wasm = port();
      const vectors = addon.parseText('(module (memory 1) (func (export "_start") (v128.store (i32.const 0) (v128.load (i32.const 16)))))');
      const riscv = foreign.profileId as ProfileId;
      expect(code(await wasm.compile(vectors, wasm.profile.profile))).toBe(null);
      const refused = await wasm.compile(vectors, riscv);
      expect(refused.ok ? 'ok' : refused.error).toMatchObject({
        code: 'WM_MODULE_FEATURE',
        message: expect.stringContaining('rv64gc has none'),
      });
    });

    it('refuses for a level alone what its compiler gives up on: the module is a good one elsewhere', async () => {
      const wasm = port();
      const copies = addon.parseText(
        '(module (memory 1) (func (export "_start") (memory.copy (i32.const 0) (i32.const 64) (i32.const 32))))',
      );
      expect(code(await wasm.compile(copies, wasm.profile.profile))).toBe(null);
      expect(code(await wasm.compile(copies, foreign.profileId as ProfileId))).toBe('WM_MODULE_FEATURE');
    });

    it('refuses with outcomes', async () => {
      const wasm = port();
      const own = wasm.profile.profile;
      const forbidden = addon.parseText('(module (import "env" "abort" (func)) (func (export "_start")))');
      expect(code(wasm.inspect(new Uint8Array(5)))).toBe('WM_MODULE_INVALID');
      expect(code(wasm.inspect(forbidden))).toBe('WM_MODULE_IMPORT');
      expect(code(await wasm.compile(forbidden, own))).toBe('WM_MODULE_IMPORT');
      expect(code(await wasm.load(new Uint8Array(100)))).toBe('WM_MODULE_INVALID');
      const module = value(await wasm.load(await codeOfModule(wasm, workText(10))));
      expect(code(module.start({ ...OPTIONS, memoryBytesMax: 1e12 }))).toBe('WM_GUEST_LIMIT');
      const guests = Array.from({ length: PROFILE.poolSlots }, () => value(module.start(OPTIONS)));
      expect(code(module.start(OPTIONS))).toBe('WM_POOL_FULL');
      for (const guest of guests) guest.close();
    });

    it('names the quota that was used up', async () => {
      const wasm = port();
      const load = async (text: string) => value(await wasm.load(await codeOfModule(wasm, text)));
      const play = async (text: string, change: Partial<GuestOptions>): Promise<GuestStep> => {
        const guest = value((await load(text)).start({ ...OPTIONS, ...change }));
        const step = await finish(guest);
        guest.close();
        return step;
      };
      expect(await play(workText(1_000), { fuelMax: 500 })).toEqual({ kind: 'exhausted', limit: 'fuel' });
      expect(await play(workText(10), { outputBytesMax: 3 })).toEqual({ kind: 'exhausted', limit: 'output' });
      expect(await play(workText(10), { memoryBytesMax: 0 })).toEqual({ kind: 'exhausted', limit: 'memory' });
    });
  });
}

describe('the synchronous engine', () => {
  it('loads a module once, and runs guests on clocks that are given', () => {
    const synchronous = new SynchronousEngine(engine);
    const wasm = addon.parseText(workText(1_000));
    expect(code(synchronous.inspect(new Uint8Array(3)))).toBe('WM_MODULE_INVALID');
    const before = engine.stats().modulesLoaded;
    value(synchronous.load(wasm));
    const module = value(synchronous.load(wasm));
    expect(engine.stats().modulesLoaded).toBe(before + 1);
    const guest = value(module.start(OPTIONS, 1_000));
    expect(guest.resume(null, { monotonicMicros: 0, civilMicros: 0 })).toEqual({ kind: 'returned', exitCode: 0 });
    guest.close();
  });
});

it('lets a guest use no more fuel in a time than it may: who was faster waits', async () => {
  let micros = 0;
  const waits: number[] = [];
  const slow = new EngineWasm({
    engine,
    profile: profileOf(engine),
    compilers: [compilerOf(engine)],
    clock: {
      monotonicMicros: () => micros,
      civilMs: () => 0,
      sleep: async (delayMicros) => {
        waits.push(delayMicros);
        micros += delayMicros;
      },
    },
    legs: 'inline',
    fuelSlice: 5_000,
    fuelPerMicro: 2,
    fuelPerMicroMax: 2,
  });
  const module = value(await slow.load(await codeOfModule(slow, workText(10_000))));
  const guest = value(module.start(OPTIONS));
  expect((await finish(guest)).kind).not.toBe('sliced');
  // A slice of 5,000 at 2 in a microsecond: 2.5 ms each, and no shorter wait than a millisecond.
  expect(micros).toBeGreaterThan(guest.fuelUsed / 2 - 1_000);
  expect(micros).toBeLessThanOrEqual(guest.fuelUsed / 2);
  expect(waits.length).toBeGreaterThan(1);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
  guest.close();
  module.close();
});
