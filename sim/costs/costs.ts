// What things cost in the simulated world, all in one place, with where each figure is from. They are assumptions about a
// small server or a vehicle computer until twins are fitted to real runs (H6.2); a scenario's budgets hold under them.
import type { LatencyLaw } from '../../scenarios/scenario.ts';
import type { DiskCosts } from '../storage/storage.ts';
import type { NetworkCosts } from '../network/network.ts';
import type { WasmCosts } from '../wasm/wasm.ts';

export const NETWORK_COSTS: NetworkCosts = {
  /** TCP's least retransmission timeout on Linux (`tcp_rto_min`, 200 ms); ours does not learn from the round trip. */
  retransmitMicros: 200_000,
  /** Linux allows 120 s; a connection is given up long before. */
  retransmitMicrosMax: 3_200_000,
  /** Assumption: `TCP_USER_TIMEOUT` as gRPC sets it with its keepalive timeout, rounded down from 20 s. */
  giveUpMicros: 10_000_000,
  /** Assumption: gRPC keepalive, 10 s of silence and then no answer for 5 s. */
  keepaliveMicros: 15_000_000,
  /** One unary message through HTTP/2 and protobuf on one core: Node.js grpc-js handles 20,000 to 40,000 a second. */
  messageMicros: 30,
  /** Copying, framing and AES-GCM: about 500 MB/s. */
  messageKiBMicros: 2,
  /** TLS 1.3 with Ed25519 certificates on both sides: 0.5 to 1 ms of processor time in OpenSSL. */
  handshakeMicros: 800,
  /** A round trip over the loopback interface is 30 to 60 µs. */
  loopbackMicros: 20,
};

export const DISK_COSTS: DiskCosts = {
  /** SQLite with synchronous=FULL commits 4,300 times a second here (environment.md): 230 µs; consumer disks take longer. */
  syncMicrosMin: 150,
  syncMicrosMax: 900,
  /** From the page cache or a solid-state disk. */
  readMicros: 60,
  /** 500 MB/s. */
  bytesPerMicro: 500,
  capacityBytes: 8 * 1024 ** 3,
};

export const WASM_COSTS: WasmCosts = {
  /** Cranelift, 2.5 to 4.8 ms for an artefact of 1 MB and a start of its own (environment.md): 4 µs for each KiB of module. */
  compileMicros: 2_000,
  compileKiBMicros: 40,
  /** Mapping an artefact, 62 to 91 µs for 1 MB (environment.md). */
  loadMicros: 90,
  /** New store, instantiate, close: 6 µs through JavaScript (environment.md). */
  startMicros: 6,
  /** One turn between guest and host: 1.4 million a second (environment.md), rounded up. */
  resumeMicros: 1,
  /** Linux's base slice (EEVDF, 2.8 ms on two or more cores). */
  sliceMicros: 3_000,
};

/** Guests that a node's engine has room for at once; a declared setting of the node, not of the machine that simulates. */
export const NODE_SLOTS = 256;

/** Processor time of an Ed25519 signature, about 50 µs in OpenSSL on one core. */
export const SIGN_MICROS = 60;

/** How long a machine's service manager waits before it starts a process that ended by itself (systemd's RestartSec, 100 ms). */
export const PROCESS_RESTART_MICROS = 100_000;

/** Assumption: a small virtual machine for the controller. */
export const CONTROLLER_CORES = 4;
export const CONTROLLER_FUEL_PER_MICRO = 1_000;

/** One-way delay inside a zone where the scenario names none: a local network with one switch. */
export const ZONE_LATENCY: LatencyLaw = { law: 'constant', micros: 150 };
