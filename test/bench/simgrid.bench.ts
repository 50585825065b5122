// The kernel against SimGrid's C++ core on the ring ping-pong: `node test/bench/simgrid.bench.ts [--json]`. Nodes in a ring, each
// plays ping-pong with its right neighbour over a link of its own, all at once. Both compute latency + bytes / bandwidth for a
// message, and must come to the same end. Rounds alternate; ratios are of processor time within a round, then the median.
// Goal: at least as fast. Without SimGrid (Debian: libsimgrid-dev) it says so and measures nothing.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNodeHost } from '../../sim/campaign/host.main.ts';
import { createKernel } from '../../sim/kernel/kernel.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { Host } from '../../sim/network/host.ts';
import { Link } from '../../sim/network/link.ts';
import type { LinkState } from '../../sim/network/link.ts';
import { Medium } from '../../sim/network/medium.ts';
import { SimNetwork } from '../../sim/network/network.ts';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint, ZonePath } from '../../system/domain/identifiers.ts';

const NODES = [10, 100, 1_000];
/** Of one play, over all nodes. */
const MESSAGES = 100_000;
const BYTES = 1_000;
const REPETITIONS = 5;
const GOAL = 1;
const SOURCE = join(import.meta.dirname, 'simgrid', 'ring.cpp');
/** Latency + bytes / bandwidth and nothing else: no window of TCP, no traffic of acknowledgements, no factors fitted to a cluster. */
const MODEL = [
  '--cfg=network/model:CM02',
  '--cfg=network/crosstraffic:0',
  '--cfg=network/TCP-gamma:0',
  '--cfg=network/latency-factor:1',
  '--cfg=network/bandwidth-factor:1',
  '--cfg=network/weight-S:0',
  '--log=root.thresh:error',
];
const COSTS = {
  retransmitMicros: 200_000,
  retransmitMicrosMax: 3_200_000,
  giveUpMicros: 10_000_000,
  keepaliveMicros: 15_000_000,
  messageMicros: 0,
  messageKiBMicros: 0,
  handshakeMicros: 0,
  loopbackMicros: 20,
};
/** What a call of the network port takes besides its message: a frame, and one byte of an answer. */
const FRAME_BYTES = 64;

type Play = { readonly endMicros: number; readonly processorMs: number };
type Row = { readonly name: string; readonly thousandPerSecond: number; readonly ratio: number; readonly held: boolean | null };

/** The laws of link `i`, as in ring.cpp. */
const latencyMicrosOf = (i: number): number => 100 + (i % 7) * 10;
const bytesPerSecondOf = (i: number): number => (i % 2 === 0 ? 1_000_000 : 2_000_000);
const roundsOf = (nodes: number): number => MESSAGES / nodes / 2;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function build(folder: string): string | null {
  const program = join(folder, 'ring');
  const built = spawnSync('g++', ['-std=c++17', '-O2', '-o', program, SOURCE, '-lsimgrid'], { encoding: 'utf8' });
  return built.status === 0 ? program : null;
}

function playSimGrid(program: string, nodes: number): Play {
  const line = execFileSync(program, [String(nodes), String(roundsOf(nodes)), String(BYTES), ...MODEL], { encoding: 'utf8' });
  const { endSeconds, processorSeconds } = JSON.parse(line) as { endSeconds: number; processorSeconds: number };
  return { endMicros: Math.round(endSeconds * 1e6), processorMs: processorSeconds * 1_000 };
}

async function timed(kernel: Kernel, endOf: () => number): Promise<Play> {
  const before = process.cpuUsage();
  const end = await kernel.play({ done: () => false, microsMax: 3_600_000_000 });
  const { user, system } = process.cpuUsage(before);
  if (end.error !== null) throw end.error;
  return { endMicros: endOf(), processorMs: (user + system) / 1_000 };
}

/** Machines and links: a message arrives on the machine of its receiver, which answers. */
function playLinks(nodes: number): Promise<Play> {
  const kernel = createKernel({ seed: '0x1', host: createNodeHost() });
  const hosts = Array.from({ length: nodes }, (_, i) => {
    const machine = kernel.machine(`node-${i}`);
    machine.boot();
    return new Host({ machine, identity: machine.name, zone: machine.name as ZonePath }, COSTS);
  });
  const rounds = roundsOf(nodes);
  let endMicros = 0;
  const linkOf = (i: number, from: Host, to: Host, back: () => Link): Link => {
    const state: LinkState = {
      law: { law: 'constant', micros: latencyMicrosOf(i) },
      factor: [1, 1],
      loss: [0, 1],
      cut: false,
      clogged: false,
      radio: [],
      lasting: [],
      impaired: [
        {
          impairments: { bandwidth: { kind: 'bandwidth', bytesPerS: bytesPerSecondOf(i), queueBytes: BYTES } },
          medium: new Medium(kernel, `${from.name}->${to.name}`),
        },
      ],
    };
    return new Link({ kernel, costs: COSTS, from, to, stateOf: () => state, back });
  };
  const send = (link: Link, handle: () => void): void =>
    link.transmit({
      label: 'message',
      bytes: BYTES,
      wanted: () => true,
      blocked: () => false,
      spoil: () => {},
      giveUp: () => {
        throw new Error('every message gets through');
      },
      arrive: () => link.to.receive({ payloadBytes: BYTES, handle }),
    });
  for (const [i, left] of hosts.entries()) {
    const right = hosts[(i + 1) % nodes] as Host;
    const there: Link = linkOf(i, left, right, () => back);
    const back: Link = linkOf(i, right, left, () => there);
    let round = 0;
    const ping = (): void => send(there, pong);
    const pong = (): void => send(back, answered);
    const answered = (): void => {
      round += 1;
      if (round < rounds) ping();
      else endMicros = Math.max(endMicros, kernel.now());
    };
    kernel.after(0, left.machine, 'start', ping);
  }
  return timed(kernel, () => endMicros);
}

/** The port that the product knows: each ping and its pong is a call, awaited by asynchronous code on both sides. */
async function playCalls(nodes: number): Promise<Play> {
  const kernel = createKernel({ seed: '0x1', host: createNodeHost() });
  const network = new SimNetwork(kernel, COSTS);
  const names = Array.from({ length: nodes }, (_, i) => `node-${i}`);
  const machines = names.map((name) => kernel.machine(name));
  for (const machine of machines) {
    machine.boot();
    network.addMachine({ machine, identity: machine.name, zone: machine.name as ZonePath });
  }
  for (const [i, name] of names.entries()) {
    const right = names[(i + 1) % nodes] as string;
    network.setLaw(name as ZonePath, right as ZonePath, { law: 'constant', micros: latencyMicrosOf(i) }, [0, 1]);
    network.begin(name, { kind: 'bandwidth', a: name, b: right, bytesPerS: bytesPerSecondOf(i), queueBytes: BYTES });
  }
  const request = new Uint8Array(BYTES - FRAME_BYTES);
  const answer: Outcome<Uint8Array> = ok(new Uint8Array(BYTES - FRAME_BYTES - 1));
  let longestMicros = 0;
  const live = async (i: number): Promise<void> => {
    const connected = await network.portOf(names[i] as string).connect(names[(i + 1) % nodes] as Endpoint, { deadlineMicros: 10_000_000 });
    if (!connected.ok) throw new Error(connected.error.message);
    const beganMicros = kernel.now();
    for (let round = 0; round < roundsOf(nodes); round++) {
      const pong = await connected.value.call('Ping', request, { deadlineMicros: 10_000_000 });
      if (!pong.ok) throw new Error(pong.error.message);
    }
    longestMicros = Math.max(longestMicros, kernel.now() - beganMicros);
  };
  for (const [i, machine] of machines.entries()) {
    const handler = { call: () => Promise.resolve(answer), stream: () => Promise.resolve() };
    kernel.after(0, machine, 'listen', () => kernel.own('listen', network.portOf(machine.name).listen(machine.name as Endpoint, handler)));
    kernel.after(1, machine, 'live', () => kernel.own('live', live(i)));
  }
  return timed(kernel, () => longestMicros);
}

async function measure(program: string): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const nodes of NODES) {
    const cases = [
      { name: 'kernel, machines and links', goal: true, play: playLinks },
      { name: 'kernel, calls of the network port', goal: false, play: playCalls },
    ];
    const peers: number[] = [];
    const times = cases.map((): number[] => []);
    const ratios = cases.map((): number[] => []);
    // The first round warms the engine up.
    for (let round = 0; round <= REPETITIONS; round++) {
      const peer = playSimGrid(program, nodes);
      if (round > 0) peers.push(peer.processorMs);
      for (const [index, { name, play }] of cases.entries()) {
        const { endMicros, processorMs } = await play(nodes);
        if (endMicros !== peer.endMicros)
          throw new Error(`${name}, ${nodes} nodes: the last message comes at ${endMicros} µs, with SimGrid at ${peer.endMicros} µs`);
        if (round === 0) continue;
        times[index]?.push(processorMs);
        ratios[index]?.push(peer.processorMs / processorMs);
      }
    }
    const rateOf = (milliseconds: readonly number[]): number => MESSAGES / median(milliseconds);
    rows.push({ name: `SimGrid, ${nodes} nodes`, thousandPerSecond: rateOf(peers), ratio: 1, held: null });
    for (const [index, { name, goal }] of cases.entries()) {
      const ratio = median(ratios[index] ?? []);
      const held = goal ? ratio >= GOAL : null;
      rows.push({ name: `${name}, ${nodes} nodes`, thousandPerSecond: rateOf(times[index] ?? []), ratio, held });
    }
  }
  return rows;
}

const asJson = process.argv.includes('--json');
const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-simgrid-'));
try {
  const program = build(folder);
  if (program === null) process.stderr.write('SimGrid is not there (Debian: apt-get install libsimgrid-dev g++): nothing was compared.\n');
  const rows = program === null ? [] : await measure(program);
  if (asJson) {
    const results = rows.map(({ name, thousandPerSecond, ratio, held }) => ({
      name,
      value: Number(thousandPerSecond.toPrecision(4)),
      unit: 'thousand messages/s',
      ratio: Number(ratio.toPrecision(3)),
      held,
    }));
    const bench = {
      bench: 'simgrid',
      node: process.version,
      messages: MESSAGES,
      repetitions: REPETITIONS,
      skipped: program === null,
      results,
    };
    process.stdout.write(`${JSON.stringify(bench)}\n`);
  } else {
    for (const { name, thousandPerSecond, ratio, held } of rows) {
      const verdict = held === null ? '' : `  ${held ? 'held' : 'NOT HELD'} (at least ${GOAL} of SimGrid)`;
      process.stdout.write(
        `${name.padEnd(48)} ${thousandPerSecond.toFixed(0).padStart(6)} thousand/s ${ratio.toFixed(2).padStart(5)}x${verdict}\n`,
      );
    }
  }
  process.exitCode = rows.some(({ held }) => held === false) ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
