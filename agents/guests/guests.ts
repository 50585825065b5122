// One invocation: a fresh guest for one event, run leg by leg to its end (P13). Publishes no result and settles nothing.
// Whatever happens the guest is closed before the promise resolves, so that no slot of the engine is held by nothing.
// Bounds: fuel, memory and output by the module's manifest; operations by `hostCallsMax`; time by whoever cancels.
import { grants } from '../../system/domain/capability.ts';
import type { ErrorCode } from '../../system/domain/errors.ts';
import { failed } from '../../system/domain/outcome.ts';
import type { WmError } from '../../system/domain/outcome.ts';
import type { ModuleLimits } from '../../system/domain/module.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Guest, GuestStep, HostAnswer, LoadedModule } from '../../system/ports/wasm.ts';
import type { AgentBounds } from '../bounds.ts';
import { GuestHost } from './host.ts';
import type { HostPorts, HostScope } from './host.ts';
import { statusAnswer, STATUS_LIMIT_EXCEEDED } from './operations.ts';

export { Cancellation } from './cancellation.ts';
export { effectIdOf } from './operations.ts';

export type InvocationSpec = {
  readonly module: LoadedModule;
  readonly limits: ModuleLimits;
  readonly attempt: number;
  readonly scope: HostScope;
};

export type InvocationEnd = {
  /** Null: the guest ended with exit code 0, and nothing forbids its result. */
  readonly error: WmError | null;
  /** True: closed by us, and nothing may be settled on its behalf. */
  readonly isCancelled: boolean;
  readonly result: Uint8Array;
  readonly diagnostics: string;
  readonly fuel: number;
  readonly memoryBytesPeak: number;
  readonly micros: number;
  /** Time in which the guest itself ran. */
  readonly busyMicros: number;
  readonly hostCalls: number;
};

const SEED_BYTES = 32;
const NOTHING = Object.freeze({
  isCancelled: false,
  result: new Uint8Array(0),
  diagnostics: '',
  fuel: 0,
  memoryBytesPeak: 0,
  micros: 0,
  busyMicros: 0,
  hostCalls: 0,
});

export type GuestPorts = HostPorts & Pick<Ports, 'clock'>;

export async function invoke(ports: GuestPorts, bounds: AgentBounds, seeds: RandomStream, spec: InvocationSpec): Promise<InvocationEnd> {
  const { scope } = spec;
  const obstacle = scope.check();
  if (obstacle !== null) return { ...NOTHING, error: obstacle, isCancelled: true };
  const granted = { clock: grants(scope.grants, 'clock'), random: grants(scope.grants, 'random'), sleep: grants(scope.grants, 'sleep') };
  const started = spec.module.start({
    args: [scope.module],
    environment: [
      ['WM_EVENT_ID', scope.event.id],
      ['WM_EVENT_SUBJECT', scope.event.subject],
      ['WM_TRIGGER', scope.trigger],
      ['WM_ATTEMPT', String(spec.attempt)],
    ],
    stdin: scope.event.data,
    fuelMax: spec.limits.fuelMax,
    memoryBytesMax: spec.limits.memoryBytesMax,
    outputBytesMax: spec.limits.outputBytesMax,
    randomSeed: granted.random ? seeds.bytes(SEED_BYTES) : new Uint8Array(SEED_BYTES),
    granted,
  });
  if (!started.ok) return { ...NOTHING, error: started.error };
  const guest = started.value;
  try {
    return await play(ports, bounds, guest, spec);
  } finally {
    guest.close();
  }
}

async function play(ports: GuestPorts, bounds: AgentBounds, guest: Guest, spec: InvocationSpec): Promise<InvocationEnd> {
  const { scope } = spec;
  const host = new GuestHost(ports, bounds, scope);
  const startedMicros = ports.clock.monotonicMicros();
  let busyMicros = 0;
  let hostCalls = 0;
  const end = (error: WmError | null, isCancelled: boolean): InvocationEnd => ({
    error,
    isCancelled,
    result: error === null ? guest.stdout() : new Uint8Array(0),
    diagnostics: new TextDecoder().decode(guest.stderr()).slice(0, bounds.logCharactersMax),
    fuel: guest.fuelUsed,
    memoryBytesPeak: guest.memoryBytesPeak,
    micros: ports.clock.monotonicMicros() - startedMicros,
    busyMicros,
    hostCalls,
  });

  for (let answer: HostAnswer | null = null; ;) {
    const legMicros = ports.clock.monotonicMicros();
    const step = await guest.resume(answer);
    busyMicros += ports.clock.monotonicMicros() - legMicros;
    answer = null;
    // Safety: a leg or an answer takes time. Lease, epoch and deadline are asked before anything follows from it.
    const obstacle = scope.check();
    if (obstacle !== null) return end(obstacle, true);
    if (step.kind === 'sliced') continue;
    if (step.kind !== 'request') return end(errorOf(step, spec), false);
    hostCalls += 1;
    if (hostCalls > bounds.hostCallsMax + bounds.hostCallsRefusedMax) {
      return end(errorOf({ kind: 'exhausted', limit: 'host calls' }, spec), false);
    }
    answer = hostCalls > bounds.hostCallsMax ? statusAnswer(STATUS_LIMIT_EXCEEDED) : await host.answer(step.operation, step.payload);
    const late = scope.check();
    if (late !== null) return end(late, true);
  }
}

function errorOf(step: Exclude<GuestStep, { kind: 'sliced' | 'request' }>, spec: InvocationSpec): WmError | null {
  const who = `${spec.scope.module} in ${spec.scope.fence.instance}`;
  switch (step.kind) {
    case 'returned':
      return step.exitCode === 0 ? null : guestError('WM_GUEST_EXIT', `${who} ended with exit code ${step.exitCode}.`);
    case 'trapped':
      return guestError('WM_GUEST_TRAPPED', `${who} trapped: ${step.trap}: ${step.message}`);
    case 'exhausted':
      return guestError('WM_GUEST_EXHAUSTED', `${who} used up its ${step.limit}.`);
    default:
      return step satisfies never;
  }
}

function guestError(code: ErrorCode, message: string): WmError {
  return failed(code, { message, next: 'The event is delivered again and dead-lettered when it keeps failing.' }).error;
}
