import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, EngineAddon } from '../../../hardware/wasm/native/native.ts';
import {
  BUILD_TIMEOUT_MS,
  CLOCKS,
  OPTIONS,
  PROFILE,
  codeOf,
  codeOfAsync,
  engineAddon,
  finish,
  leg,
  loadText,
  workText,
} from './fixture.ts';

/** Bound: growth of the resident set over a million instances; a leak of 16 bytes each would pass it. */
const GROWTH_BYTES_MAX = 12 << 20;

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

describe('the pool', () => {
  it('that is full refuses the next guest, and takes it when one is closed', () => {
    using module = loadText(addon, engine, workText(10));
    const guests = Array.from({ length: PROFILE.poolSlots }, () => module.start(OPTIONS));
    expect(engine.stats()).toEqual({ slotsInUse: 20, slotsMax: 20, modulesLoaded: 1 });
    expect(codeOf(() => module.start(OPTIONS))).toBe('WM_ENGINE_POOL_FULL');
    expect(codeOf(() => module.run(OPTIONS, CLOCKS))).toBe('WM_ENGINE_POOL_FULL');
    guests[7]!.close();
    using guest = module.start(OPTIONS);
    expect(finish(guest).kind).toBe('returned');
    for (const one of guests) one.close();
    expect(engine.stats().slotsInUse).toBe(0);
  });

  it('can hold all its guests running', () => {
    using module = loadText(addon, engine, workText(1_000));
    const guests = Array.from({ length: PROFILE.poolSlots }, () => module.start({ ...OPTIONS, fuelSlice: 10 }));
    for (const guest of guests) expect(guest.resumeInline(leg()).kind).toBe('sliced');
    for (const guest of guests) {
      expect(finish(guest).kind).toBe('returned');
      guest.close();
    }
  });

  it('gets the slot of a guest back when it has ended, before it is closed', () => {
    using module = loadText(addon, engine, workText(10));
    using guest = module.start(OPTIONS);
    finish(guest);
    expect(engine.stats().slotsInUse).toBe(0);
    expect(guest.stdout().length).toBe(8);
  });

  it('a module that needs more tables than a slot has is refused when it is loaded or started', () => {
    const tables = '(table 1 funcref)'.repeat(5);
    const text = `(module ${tables} (func (export "_start")))`;
    const code = codeOf(() => loadText(addon, engine, text));
    expect(code).toBe('WM_ENGINE_ARTEFACT');
  });
});

describe('after close', () => {
  it('a guest is refused, also one whose place was taken by another', async () => {
    using module = loadText(addon, engine, workText(10));
    const closed = module.start(OPTIONS);
    closed.close();
    closed.close();
    using other = module.start(OPTIONS);
    expect(codeOf(() => closed.resumeInline(leg()))).toBe('WM_ENGINE_CLOSED');
    expect(await codeOfAsync(() => closed.resume(leg()))).toBe('WM_ENGINE_CLOSED');
    expect(codeOf(() => closed.stdout())).toBe('WM_ENGINE_CLOSED');
    expect(codeOf(() => closed.stderr())).toBe('WM_ENGINE_CLOSED');
    expect(finish(other).kind).toBe('returned');
  });

  it('a module starts nothing, and its guests go on', () => {
    const module = loadText(addon, engine, workText(10));
    using guest = module.start(OPTIONS);
    module.close();
    module.close();
    expect(codeOf(() => module.start(OPTIONS))).toBe('WM_ENGINE_CLOSED');
    expect(codeOf(() => module.run(OPTIONS, CLOCKS))).toBe('WM_ENGINE_CLOSED');
    expect(finish(guest).kind).toBe('returned');
  });

  it('an engine refuses everything', async () => {
    const other = addon.createEngine(PROFILE);
    const wasm = addon.parseText(workText(10));
    const module = other.load(other.compile(wasm));
    const guest = module.start(OPTIONS);
    other.close();
    other.close();
    for (const action of [
      () => other.compile(wasm),
      () => other.describe(wasm),
      () => other.load(wasm),
      () => other.loadFile('/x'),
      () => other.stats(),
      () => module.start(OPTIONS),
      () => guest.resumeInline(leg()),
      () => guest.stdout(),
    ]) {
      expect(codeOf(action)).toBe('WM_ENGINE_CLOSED');
    }
    expect(await codeOfAsync(() => other.compileAsync(wasm))).toBe('WM_ENGINE_CLOSED');
    guest.close();
    module.close();
  });

  it('`using` closes', () => {
    using module = loadText(addon, engine, workText(10));
    {
      using guest = module.start(OPTIONS);
      expect(guest.fuelUsed).toBe(0);
      expect(engine.stats().slotsInUse).toBe(1);
    }
    expect(engine.stats().slotsInUse).toBe(0);
  });
});

describe('a million instances', () => {
  it('leave the process as large as it was', { timeout: 300_000 }, async () => {
    const script = fileURLToPath(new URL('../../support/engine/million.main.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script]);
    const { grownBytes, slotsInUse } = JSON.parse(stdout) as { readonly grownBytes: number; readonly slotsInUse: number };
    expect(slotsInUse).toBe(0);
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
  });
});
