// An engine whose modules are scripts: an artefact is the name of a script, a guest is a generator that yields what it asks of
// the host and returns its exit code. Counts what is open, so that a test sees a guest that nobody closed.
import type { ProfileId } from '../../../system/domain/identifiers.ts';
import { failed, ok, rejected } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Clock } from '../../../system/ports/clock.ts';
import type { CompileProfile, Guest, GuestOptions, GuestStep, HostAnswer, LoadedModule, Wasm } from '../../../system/ports/wasm.ts';

export type ScriptStep =
  | Extract<GuestStep, { kind: 'request' | 'trapped' | 'exhausted' }>
  | { readonly kind: 'leg'; readonly micros: number };

/** `write` adds to standard output. */
export type Script = (options: GuestOptions, write: (text: string) => void) => Generator<ScriptStep, number, HostAnswer | null>;

export function request(operation: string, payload: string | Uint8Array): ScriptStep {
  return { kind: 'request', operation, payload: typeof payload === 'string' ? new TextEncoder().encode(payload) : payload };
}

export const PROFILE: CompileProfile = { profile: 'profile-1' as ProfileId, target: 'x86_64-unknown-linux-gnu', level: 'x86-64' };

const LEG_MICROS = 20;
/** A guest that only computes. */
export const LEG: ScriptStep = { kind: 'leg', micros: 1 };

export class ScriptedWasm implements Wasm {
  readonly profile = PROFILE;
  readonly profiles: readonly CompileProfile[] = [];
  readonly loaded: string[] = [];
  readonly #clock: Pick<Clock, 'after'>;
  readonly #scripts: ReadonlyMap<string, Script>;
  readonly #slots: number;
  open = 0;
  started = 0;
  /** How long every leg takes. */
  legMicros = LEG_MICROS;

  constructor(clock: Pick<Clock, 'after'>, scripts: ReadonlyMap<string, Script>, slots = 64) {
    this.#clock = clock;
    this.#scripts = scripts;
    this.#slots = slots;
  }

  inspect(): Outcome<never> {
    return rejected('WM_MODULE_INVALID', { message: 'Not here.', next: 'Nothing.' });
  }

  compile(): Promise<Outcome<never>> {
    return Promise.resolve(rejected('WM_MODULE_INVALID', { message: 'Not here.', next: 'Nothing.' }));
  }

  load(artefact: Uint8Array): Promise<Outcome<LoadedModule>> {
    const name = new TextDecoder().decode(artefact).split(' ')[0] ?? '';
    const script = this.#scripts.get(name);
    if (script === undefined) return Promise.resolve(rejected('WM_PROFILE_MISMATCH', { message: `No script ${name}.`, next: 'Nothing.' }));
    this.loaded.push(name);
    let isClosed = false;
    return Promise.resolve(
      ok<LoadedModule>({
        imports: [],
        start: (options) =>
          isClosed ? rejected('WM_GUEST_CLOSED', { message: 'Closed.', next: 'Nothing.' }) : this.#start(script, options),
        close: () => {
          isClosed = true;
        },
      }),
    );
  }

  guests(): { readonly open: number; readonly max: number } {
    return { open: this.open, max: this.#slots };
  }

  #start(script: Script, options: GuestOptions): Outcome<Guest> {
    if (this.open >= this.#slots) return failed('WM_POOL_FULL', { message: 'Full.', next: 'Nothing.' });
    this.open += 1;
    this.started += 1;
    let output = '';
    const run = script(options, (text) => {
      output += text;
    });
    const leg = (answer: HostAnswer | null, resolve: (step: GuestStep) => void): void => {
      const next = run.next(answer);
      if (next.done === true) return resolve({ kind: 'returned', exitCode: next.value });
      const step = next.value;
      if (step.kind !== 'leg') return resolve(step);
      this.#clock.after(step.micros, () => resolve({ kind: 'sliced' }));
    };
    let isClosed = false;
    return ok<Guest>({
      resume: (answer) => new Promise((resolve) => this.#clock.after(this.legMicros, () => leg(answer, resolve))),
      fuelUsed: 7,
      memoryBytesPeak: 64,
      stdout: () => new TextEncoder().encode(output),
      stderr: () => new Uint8Array(0),
      close: () => {
        if (!isClosed) this.open -= 1;
        isClosed = true;
      },
    });
  }
}
