// What a scenario needs of a world. The simulator and the real machines implement it; the runner (`run.ts`) knows no more.
// A testbed boots the fleet, breaks and heals it, and hands out every record in order. Its clock is the run's clock.
// `deadlineMicros` is counted from the call, as in the ports.
import type { BusEvent, PublishAck } from '../system/domain/event.ts';
import type { StateEntry } from '../system/domain/broker.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../system/domain/operator.ts';
import type { Outcome } from '../system/domain/outcome.ts';
import type { Digest, KeyId, SubjectFilter, ZonePath } from '../system/domain/identifiers.ts';
import type { RecordKind, RecordKinds } from '../system/domain/telemetry.ts';
import type { RunRecord } from './record.ts';
import type { FaultKind, FaultSpec, FleetFeature, GuestModelSpec, Scenario } from './scenario.ts';

/** The parts of the ports that the runner uses; scenarios know no ports, so their shapes are repeated here and nowhere else. */
export type TestbedClock = {
  /** Whole microseconds since some moment before the run. */
  monotonicMicros(): number;
  civilMs(): number;
  sleep(delayMicros: number): Promise<void>;
};

export type TestbedRandom = {
  stream(name: string): {
    uint32(): number;
    below(bound: number): number;
    chance(numerator: number, denominator: number): boolean;
  };
};

export type TestbedKeys = {
  digest(bytes: Uint8Array): Digest;
  /** The key pair of a person: `ops` is trusted, `stranger` is not. Raw Ed25519 public key, 32 bytes. */
  open(person: string): Promise<Outcome<{ readonly key: KeyId; readonly publicKey: Uint8Array }>>;
  sign(person: string, message: Uint8Array): Promise<Outcome<Uint8Array>>;
};

export interface Testbed {
  /** `sim`, `local`, `qemu`, `devices`. */
  readonly world: string;
  /** Fault kinds it can really produce; a scenario that asks for another is refused by name. */
  readonly faultKinds: readonly FaultKind[];
  /** What fleets may ask of it that not every world has; a scenario that asks for more is refused by name. */
  readonly fleetFeatures: readonly FleetFeature[];
  /** Added to every budget of time that goals hold, and said in their claims: 0 where time has no noise. */
  readonly slackMicros: number;
  readonly clock: TestbedClock;
  /** Streams of the driver (workload, times of steps), apart from those of the machines. */
  readonly random: TestbedRandom;
  readonly keys: TestbedKeys;

  /** Boots controller and nodes of the scenario at their times. Resolves when the controller answers. */
  start(scenario: Scenario): Promise<Outcome<void>>;
  /** Stops everything in order: agents, controller. */
  stop(): Promise<void>;

  /**
   * Bytes of an example guest with a custom section that tells its versions apart. A simulated world plays the guests of these
   * bytes by `model` where there is one; others run them.
   */
  exampleModule(
    example: string,
    variant: number,
    model: GuestModelSpec | null,
  ): Outcome<{
    readonly bytes: Uint8Array;
    readonly capabilities: readonly string[];
    readonly fuelMax: number;
    readonly memoryBytesMax: number;
    readonly outputBytesMax: number;
  }>;

  /** Through the operator API, as a user at the controller's zone would. Repeats under the same id until answered or the deadline passes. */
  execute(id: string, command: OperatorCommand, options: { readonly deadlineMicros: number }): Promise<Outcome<OperatorReply>>;
  query(query: OperatorQuery, options: { readonly deadlineMicros: number }): Promise<Outcome<OperatorAnswer>>;
  /** Through the bus, from a machine in `zone`. */
  publish(zone: ZonePath, event: BusEvent, options: { readonly deadlineMicros: number }): Promise<Outcome<PublishAck>>;
  /** Durable subscription of the driver; every event of it is handed over once per delivery and acknowledged. */
  subscribe(filter: SubjectFilter, handle: (event: BusEvent) => void): Promise<Outcome<void>>;
  readState(key: string): Promise<Outcome<StateEntry | null>>;

  /** Begins a fault; it ends on its own after its time, or at `healAll`. */
  inject(id: string, fault: FaultSpec): Outcome<void>;
  /** Ends every fault: machines that are off start again. */
  healAll(): void;

  /** Writes a record of the testbed itself. */
  record<K extends RecordKind>(kind: K, fields: Readonly<RecordKinds[K]>): void;
  /** Every record of every source, in the order of the run. At most one listener. */
  onRecord(listener: (record: RunRecord) => void): void;
  /** Resolves when the listener has every record of what happened before the call. */
  settle(): Promise<void>;
}
