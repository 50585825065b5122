// What the record says of a fault: on what it is, and how bad.
import type { FaultSpec } from '../../scenarios/scenario.ts';
import { assertNever } from '../../system/domain/outcome.ts';

export function targetOf(spec: FaultSpec): string {
  if ('machine' in spec) return spec.machine;
  switch (spec.kind) {
    case 'partition':
      return `${spec.a.join(' ')} | ${spec.b.join(' ')}`;
    case 'clog':
    case 'swizzle':
      return spec.places.join(' ');
    case 'half-open':
      return `${spec.a.join(' ')} | ${spec.b.join(' ')}`;
    case 'partition-one-way':
      return `${spec.from.join(' ')} -> ${spec.to.join(' ')}`;
    case 'latency':
    case 'loss':
    case 'bandwidth':
    case 'burst-loss':
    case 'duplication':
    case 'reordering':
    case 'corruption':
      return `${spec.a} | ${spec.b}`;
    case 'forge-artefact':
    case 'broker-outage':
    case 'broker-slow':
    case 'broker-loses-answers':
    case 'broker-repeats':
    case 'spoil-artefact':
      return 'controller';
    default:
      return assertNever(spec, 'the target of a fault');
  }
}

export function detailOf(spec: FaultSpec): string {
  const time = spec.forMicros === null ? 'until healed' : `for ${spec.forMicros} µs`;
  switch (spec.kind) {
    case 'latency':
      return `delay times ${spec.factor[0]}/${spec.factor[1]}, ${time}`;
    case 'loss':
      return `${spec.loss[0]} of ${spec.loss[1]} packets lost, ${time}`;
    case 'bandwidth':
      return `${spec.bytesPerS} bytes a second, a queue of ${spec.queueBytes} bytes, ${time}`;
    case 'burst-loss':
      return `${spec.ratio[0]} of ${spec.ratio[1]} packets lost in bursts of ${spec.burstMicros} µs, ${spec.apartMicros} µs apart, ${time}`;
    case 'reordering':
      return `${spec.ratio[0]} of ${spec.ratio[1]} packets held back by up to ${spec.microsMax} µs, ${time}`;
    case 'duplication':
    case 'corruption':
      return `${spec.ratio[0]} of ${spec.ratio[1]} packets, ${time}`;
    case 'broker-slow':
      return `each call ${spec.byMicros} µs late, ${time}`;
    case 'broker-loses-answers':
    case 'broker-repeats':
      return `${spec.ratio[0]} of ${spec.ratio[1]} calls, ${time}`;
    case 'spoil-artefact':
      return `${spec.how}, ${time}`;
    case 'upgrade':
      return `to agent version ${spec.version}, ${time}`;
    case 'restore':
      return `to what it stores now, off for the last ${spec.offMicros} µs, ${time}`;
    case 'disk-slow':
      return `requests take ${spec.factor} times as long, ${time}`;
    case 'throttle':
      return `work takes ${spec.factor} times as long, ${time}`;
    case 'memory-pressure':
      return `${spec.leavesBytes} bytes left to guests, ${time}`;
    case 'clock-step':
      return `civil clock off by ${spec.byMicros} µs, ${time}`;
    case 'clock-drift':
      return `clocks too fast by ${spec.ppm} ppm, ${time}`;
    default:
      return time;
  }
}
