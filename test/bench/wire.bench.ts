// Heartbeats by hand over heartbeats by the generic codec, in the same run: `node test/bench/wire.bench.ts [--json]`. Each round writes and
// reads both ways: what one beat of one node costs agent and controller. Goal: at least twice as fast.
import type { NodeId, Term } from '../../system/domain/identifiers.ts';
import type { AgentMessage, ControllerMessage } from '../../system/domain/session.ts';
import {
  decodeAgentMessage,
  decodeAnyAgentMessage,
  decodeAnyControllerMessage,
  decodeControllerMessage,
  encodeAgentMessage,
  encodeAnyAgentMessage,
  encodeAnyControllerMessage,
  encodeControllerMessage,
} from '../../system/wire/codec/session.ts';

const BEATS = 20_000;
const REPETITIONS = 7;
const GOAL = 2;
/** As many landmarks as a node of a fleet usually measures. */
const LANDMARKS = 4;

function heartbeatOf(sequence: number): AgentMessage {
  const latencies = Array.from({ length: LANDMARKS }, (_, i) => ({ landmark: `north-${i * 100}` as NodeId, rttMicros: 20_000 + sequence }));
  return { kind: 'heartbeat', sequence, load: { cpuPermille: 17, memoryBytesFree: 2 ** 32 - sequence, invocationsActive: 3 }, latencies };
}

function acknowledgementOf(sequence: number): ControllerMessage {
  return { kind: 'heartbeat-ack', term: 7 as Term, sequence, leaseMs: 15_000 };
}

function processorMsOf(beat: (sequence: number) => boolean): number {
  const before = process.cpuUsage();
  for (let sequence = 1; sequence <= BEATS; sequence++) if (!beat(sequence)) throw new Error('every message is read');
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

const byHand = (sequence: number): boolean =>
  decodeAgentMessage(encodeAgentMessage(heartbeatOf(sequence))).ok &&
  decodeControllerMessage(encodeControllerMessage(acknowledgementOf(sequence))).ok;
const generic = (sequence: number): boolean =>
  decodeAnyAgentMessage(encodeAnyAgentMessage(heartbeatOf(sequence))).ok &&
  decodeAnyControllerMessage(encodeAnyControllerMessage(acknowledgementOf(sequence))).ok;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const rounds = Array.from({ length: REPETITIONS + 1 }, () => ({ generic: processorMsOf(generic), byHand: processorMsOf(byHand) }))
  // The first round compiles both.
  .slice(1);
const ratio = median(rounds.map((round) => round.generic / round.byHand));
const rows = [
  {
    name: 'a beat and its answer, generic codec',
    value: (1_000 * median(rounds.map((round) => round.generic))) / BEATS,
    ratio: 1,
    held: null,
  },
  {
    name: 'a beat and its answer, by hand',
    value: (1_000 * median(rounds.map((round) => round.byHand))) / BEATS,
    ratio,
    held: ratio >= GOAL,
  },
];
if (process.argv.includes('--json')) {
  const results = rows.map(({ name, value, ratio: times, held }) => ({
    name,
    value: Number(value.toPrecision(3)),
    unit: 'µs of processor',
    ratio: Number(times.toPrecision(3)),
    held,
  }));
  process.stdout.write(`${JSON.stringify({ bench: 'wire', node: process.version, beats: BEATS, repetitions: REPETITIONS, results })}\n`);
} else {
  for (const { name, value, ratio: times, held } of rows) {
    const verdict = held === null ? '' : `  ${held ? 'held' : 'NOT HELD'} (at least ${GOAL} times as fast)`;
    process.stdout.write(`${name.padEnd(40)} ${value.toFixed(2).padStart(6)} µs ${times.toFixed(2).padStart(6)}x${verdict}\n`);
  }
}
process.exitCode = rows.some(({ held }) => held === false) ? 1 : 0;
