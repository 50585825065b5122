// Guests on the real engine. Owns the translation between the engine addon and the port: outcomes instead of thrown codes,
// the clocks of a leg, the engines of foreign profiles. It does not build or find the addon (native/native.ts does), and it
// does not verify signatures: an artefact is machine code, whoever calls `load` has verified it.
// The surprising part: with `legs: 'inline'` everything but the promises is synchronous and no thread is used.
import { createHash } from 'node:crypto';
import type { ProfileId } from '../../system/domain/identifiers.ts';
import { Bug, failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { Clock } from '../../system/ports/clock.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type {
  Compiled,
  CompileProfile,
  Guest,
  GuestOptions,
  GuestStep,
  HostAnswer,
  LoadedModule,
  ModuleImport,
  Wasm,
} from '../../system/ports/wasm.ts';
import {
  isEngineError,
  type Engine,
  type EngineModule,
  type Guest as EngineGuest,
  type GuestOptions as EngineGuestOptions,
  type Step,
} from './native/native.ts';

export { parseCpuFeatures } from './cpu-features.ts';

/** Refusals of the engine as outcomes of the port; what can only be our own mistake is thrown on. */
function refusal(error: unknown): Err {
  if (!isEngineError(error)) throw error;
  const message = error.message;
  switch (error.code) {
    case 'WM_ENGINE_INVALID':
    case 'WM_ENGINE_ARTEFACT':
      return rejected('WM_MODULE_INVALID', {
        message,
        next: 'Build it as a WASI preview 1 command or as a WASI 0.2 component, and push it again.',
      });
    case 'WM_ENGINE_UNSUPPORTED':
      return rejected('WM_MODULE_FEATURE', {
        message: `There is no code of the module for this level: ${message}.`,
        next: 'Use nodes of another level, or build the module otherwise; docs/guides/architectures.md names what is known.',
      });
    case 'WM_ENGINE_ENTRY':
      return rejected('WM_MODULE_INVALID', { message, next: 'Build it as a command: export `_start`, or `wasi:cli/run` of a component.' });
    case 'WM_ENGINE_IMPORT':
      return rejected('WM_MODULE_IMPORT', { message, next: 'Remove the import, or use the functions of docs/reference/guest-abi.md.' });
    case 'WM_ENGINE_PROFILE_MISMATCH':
      return rejected('WM_PROFILE_MISMATCH', { message, next: 'Compile the module for the profile of this node.' });
    case 'WM_ENGINE_NO_COMPILER':
      return rejected('WM_PROFILE_MISMATCH', { message, next: 'Let the controller compile; this node only runs artefacts.' });
    case 'WM_ENGINE_OPTIONS':
      return rejected('WM_GUEST_LIMIT', { message, next: 'Lower the limit, or raise it in the engine profile.' });
    case 'WM_ENGINE_POOL_FULL':
      return failed('WM_POOL_FULL', { message, next: 'Close guests, lower the concurrency, or raise `poolSlots` of the profile.' });
    case 'WM_ENGINE_CLOSED':
      return rejected('WM_GUEST_CLOSED', { message, next: 'Load the module again, on an engine that is open.' });
    case 'WM_ENGINE_BUSY':
    case 'WM_ENGINE_STATE':
    case 'WM_ENGINE_PROFILE':
    case 'WM_ENGINE_BUG':
      throw new Bug(`Invariant broken: the engine said ${error.code}: ${message}`, { cause: error });
  }
}

function attempt<T>(action: () => T): Outcome<T> {
  try {
    return ok(action());
  } catch (error) {
    return refusal(error);
  }
}

function importsOf(imports: readonly ModuleImport[]): readonly ModuleImport[] {
  return imports.map(({ module, name }) => ({ module, name }));
}

/** Imports of a module; WM_MODULE_INVALID, WM_MODULE_IMPORT. */
function inspect(engine: Engine, bytes: Uint8Array): Outcome<readonly ModuleImport[]> {
  const described = attempt(() => engine.describe(bytes));
  if (!described.ok) return described;
  const { component, imports } = described.value;
  const unknown = imports.find(({ offered }) => !offered);
  if (unknown === undefined) return ok(importsOf(imports));
  const { module, name, kind } = unknown;
  return rejected('WM_MODULE_IMPORT', {
    message: `The ${component ? 'component' : 'module'} imports the ${kind} '${module}' '${name}', which no guest is given.`,
    next: 'Remove the import, or use the functions of docs/reference/guest-abi.md.',
    detail: { module, name },
  });
}

/** R11.4: what a machine of this engine takes and that of a level does not are 128-bit vectors. */
function checkLevel(engine: Engine, bytes: Uint8Array, { level }: CompileProfile): Outcome<void> {
  const described = attempt(() => engine.describe(bytes));
  if (described.ok) return ok();
  return rejected('WM_MODULE_FEATURE', {
    message: `The module uses 128-bit vectors (SIMD), and ${level} has none.`,
    next: 'Build it without them, or use nodes of a level that has them.',
    detail: { level },
  });
}

function stepOf(step: Step): GuestStep {
  switch (step.kind) {
    case 'returned':
      return { kind: 'returned', exitCode: step.exitCode };
    case 'trapped':
      if (step.trap === 'bug') throw new Bug(`Invariant broken: ${step.message}`);
      return { kind: 'trapped', trap: step.trap, message: step.message };
    case 'exhausted':
      return { kind: 'exhausted', limit: 'fuel' };
    case 'limit':
      return { kind: 'exhausted', limit: step.limit === 'stdout' || step.limit === 'stderr' ? 'output' : step.limit };
    case 'sliced':
      return { kind: 'sliced' };
    case 'request':
      return { kind: 'request', operation: step.operation, payload: step.payload };
  }
}

function engineOptions(options: GuestOptions, fuelPerMicro: number, fuelSlice: number | null): EngineGuestOptions {
  const { clock, random, sleep } = options.granted;
  return {
    args: options.args,
    env: options.environment,
    stdin: options.stdin,
    fuelMax: options.fuelMax,
    fuelSlice,
    memoryBytesMax: options.memoryBytesMax,
    stdoutBytesMax: options.outputBytesMax,
    stderrBytesMax: options.outputBytesMax,
    randomSeed: options.randomSeed,
    fuelPerMicro,
    // The environment is given guest by guest: what is in it may be read.
    granted: { clock, random, sleep, environment: true },
  };
}

/** A profile that can be compiled for. Its engine holds a pool's address space, so it is opened when it is first needed. */
export type ProfileCompiler = {
  readonly profile: CompileProfile;
  /** False: its machines have no 128-bit vectors. */
  readonly takesVectors: boolean;
  readonly open: () => Engine;
};

export type EngineWasmOptions = {
  /** Engine of this machine, and its profile; its pool holds the guests. */
  readonly engine: Engine;
  readonly profile: CompileProfile;
  /** For each profile that it compiles for. Empty on nodes without a compiler. */
  readonly compilers: readonly ProfileCompiler[];
  readonly clock: Pick<Clock, 'monotonicMicros' | 'civilMs' | 'sleep'>;
  /** `inline`: on the thread of the caller. `worker`: on threads of the engine, so that no guest holds up the node. */
  readonly legs: 'inline' | 'worker';
  /** Fuel of one leg; null runs a leg until the guest ends or asks. With `worker` it decides how fairly threads are shared. */
  readonly fuelSlice: number | null;
  /** Speed of the guests' clocks: fuel in one microsecond, as fitted for this machine. */
  readonly fuelPerMicro: number;
  /** Fuel that one guest may use in a microsecond; null: as much as the machine has. Who was faster waits. */
  readonly fuelPerMicroMax?: number | null;
};

/** A wait shorter than this is put off until it has become longer: timers are no finer. */
const WAIT_MICROS_LEAST = 1_000;

class PortGuest implements Guest {
  readonly #guest: EngineGuest;
  readonly #options: EngineWasmOptions;
  /** How long it still has to wait for the fuel that it has used. */
  #owedMicros = 0;

  constructor(guest: EngineGuest, options: EngineWasmOptions) {
    this.#guest = guest;
    this.#options = options;
  }

  async resume(answer: HostAnswer | null): Promise<GuestStep> {
    const { clock, legs } = this.#options;
    const input = { answer, monotonicMicros: clock.monotonicMicros(), civilMicros: clock.civilMs() * MICROS_PER_MS };
    const fuelBefore = this.#guest.fuelUsed;
    const step = stepOf(legs === 'inline' ? this.#guest.resumeInline(input) : await this.#guest.resume(input));
    await this.#waitFor(this.#guest.fuelUsed - fuelBefore, input.monotonicMicros);
    return step;
  }

  async #waitFor(fuel: number, sinceMicros: number): Promise<void> {
    const { clock, fuelPerMicroMax = null } = this.#options;
    if (fuelPerMicroMax === null) return;
    this.#owedMicros += fuel / fuelPerMicroMax - (clock.monotonicMicros() - sinceMicros);
    if (this.#owedMicros < WAIT_MICROS_LEAST) return;
    const beganMicros = clock.monotonicMicros();
    await clock.sleep(this.#owedMicros);
    this.#owedMicros -= clock.monotonicMicros() - beganMicros;
  }

  get fuelUsed(): number {
    return this.#guest.fuelUsed;
  }

  get memoryBytesPeak(): number {
    return this.#guest.memoryBytesPeak;
  }

  stdout(): Uint8Array {
    return this.#guest.stdout();
  }

  stderr(): Uint8Array {
    return this.#guest.stderr();
  }

  close(): void {
    this.#guest.close();
  }
}

/** The port over the real engine. `resume` rejects with the engine's error when the guest is closed while its leg runs. */
export class EngineWasm implements Wasm {
  readonly profile: CompileProfile;
  readonly profiles: readonly CompileProfile[];
  readonly #options: EngineWasmOptions;
  readonly #compilers = new Map<ProfileId, ProfileCompiler>();
  /** Engines that were needed so far. Bound: the compilers. */
  readonly #opened = new Map<ProfileId, Engine>();

  constructor(options: EngineWasmOptions) {
    this.#options = options;
    this.profile = options.profile;
    for (const compiler of options.compilers) this.#compilers.set(compiler.profile.profile, compiler);
    this.#opened.set(options.profile.profile, options.engine);
    this.profiles = options.compilers.map(({ profile }) => profile);
  }

  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]> {
    return inspect(this.#options.engine, bytes);
  }

  async compile(bytes: Uint8Array, profile: ProfileId): Promise<Outcome<Compiled>> {
    const compiler = this.#compilers.get(profile);
    if (compiler === undefined) {
      return rejected('WM_PROFILE_MISMATCH', {
        message: `This machine cannot compile for profile ${profile}.`,
        next: 'Ask a machine that can, or enrol nodes of profiles that this one knows.',
      });
    }
    const { clock, legs } = this.#options;
    const engine = this.#engineOf(compiler);
    const inspected = inspect(compiler.takesVectors ? engine : this.#options.engine, bytes);
    if (!inspected.ok) return inspected;
    const lack = compiler.takesVectors ? ok() : checkLevel(engine, bytes, compiler.profile);
    if (!lack.ok) return lack;
    const beganMicros = clock.monotonicMicros();
    try {
      const artefact = legs === 'inline' ? engine.compile(bytes) : await engine.compileAsync(bytes);
      return ok({ artefact, micros: clock.monotonicMicros() - beganMicros });
    } catch (error) {
      return refusal(error);
    }
  }

  #engineOf({ profile, open }: ProfileCompiler): Engine {
    let engine = this.#opened.get(profile.profile);
    if (engine === undefined) this.#opened.set(profile.profile, (engine = open()));
    return engine;
  }

  async load(artefact: Uint8Array): Promise<Outcome<LoadedModule>> {
    const loaded = attempt(() => this.#options.engine.load(artefact));
    if (!loaded.ok) return loaded;
    const module = loaded.value;
    const { fuelPerMicro, fuelSlice } = this.#options;
    return ok<LoadedModule>({
      imports: importsOf(module.imports),
      start: (options) => {
        const started = attempt(() => module.start(engineOptions(options, fuelPerMicro, fuelSlice)));
        return started.ok ? ok<Guest>(new PortGuest(started.value, this.#options)) : started;
      },
      close: () => module.close(),
    });
  }

  guests(): { readonly open: number; readonly max: number } {
    const { slotsInUse, slotsMax } = this.#options.engine.stats();
    return { open: slotsInUse, max: slotsMax };
  }
}

/** One leg's clocks, whole microseconds. */
type LegClocks = { readonly monotonicMicros: number; readonly civilMicros: number };

/**
 * The engine for a simulated world: synchronous, one for a thread. Takes modules, which it compiles for this machine, or what a real
 * controller compiled for the profile of the engine. Each is made ready once and kept. Bound: what the runs of one thread meet.
 */
export class SynchronousEngine {
  readonly #engine: Engine;
  readonly #takes: 'modules' | 'artefacts';
  readonly #modules = new Map<string, EngineModule>();

  constructor(engine: Engine, takes: 'modules' | 'artefacts' = 'modules') {
    this.#engine = engine;
    this.#takes = takes;
  }

  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]> {
    return inspect(this.#engine, bytes);
  }

  load(bytes: Uint8Array): Outcome<SynchronousModule> {
    const digest = createHash('sha256').update(bytes).digest('hex');
    const known = this.#modules.get(digest);
    if (known !== undefined) return ok(new SynchronousModule(known));
    const loaded = attempt(() => this.#engine.load(this.#takes === 'modules' ? this.#engine.compile(bytes) : bytes));
    if (!loaded.ok) return loaded;
    this.#modules.set(digest, loaded.value);
    return ok(new SynchronousModule(loaded.value));
  }
}

export class SynchronousModule {
  readonly imports: readonly ModuleImport[];
  readonly #module: EngineModule;

  constructor(module: EngineModule) {
    this.#module = module;
    this.imports = importsOf(module.imports);
  }

  start(options: GuestOptions, fuelPerMicro: number): Outcome<SynchronousGuest> {
    const started = attempt(() => this.#module.start(engineOptions(options, fuelPerMicro, null)));
    return started.ok ? ok(new SynchronousGuest(started.value)) : started;
  }
}

export class SynchronousGuest {
  readonly #guest: EngineGuest;

  constructor(guest: EngineGuest) {
    this.#guest = guest;
  }

  /** Runs the next leg to its end. */
  resume(answer: HostAnswer | null, clocks: LegClocks): GuestStep {
    return stepOf(this.#guest.resumeInline({ answer, ...clocks }));
  }

  get fuelUsed(): number {
    return this.#guest.fuelUsed;
  }

  get memoryBytesPeak(): number {
    return this.#guest.memoryBytesPeak;
  }

  stdout(): Uint8Array {
    return this.#guest.stdout();
  }

  stderr(): Uint8Array {
    return this.#guest.stderr();
  }

  close(): void {
    this.#guest.close();
  }
}
