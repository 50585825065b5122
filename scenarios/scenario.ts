// A scenario: one claim about what the platform survives, as data (H2.1). YAML is loaded into this one value, with every
// default filled in, every unit resolved and every name checked; nothing later asks the file again.
// Times are whole microseconds, sizes bytes, chances ratios [numerator, denominator].
import type { ModuleLimits } from '../system/domain/module.ts';
import type { Architecture, GeoPoint } from '../system/domain/node.ts';
import type { DeploymentSpec, TriggerSpec } from '../system/domain/deployment.ts';
import type { DeploymentName, ModuleName, NodeId, Subject, SubjectFilter, ZonePath } from '../system/domain/identifiers.ts';

export type Ratio = readonly [numerator: number, denominator: number];

/** One-way delay of a link in microseconds. */
export type LatencyLaw =
  | { readonly law: 'constant'; readonly micros: number }
  | { readonly law: 'uniform'; readonly microsMin: number; readonly microsMax: number }
  | { readonly law: 'normal'; readonly microsMean: number; readonly microsDeviation: number; readonly microsMin: number }
  /** `sigma`: standard deviation of the delay's natural logarithm. */
  | { readonly law: 'log-normal'; readonly microsMedian: number; readonly sigma: number; readonly microsMin: number }
  | { readonly law: 'exponential'; readonly microsMean: number; readonly microsMin: number }
  /** Measured delays, each as likely as any other. */
  | { readonly law: 'empirical'; readonly micros: readonly number[] };

export type ZoneSpec = { readonly zone: ZonePath; readonly location: GeoPoint };

/** Law of the link between two zones, both ways; within a zone `a` equals `b`. */
export type LinkSpec = {
  readonly a: ZonePath;
  readonly b: ZonePath;
  readonly latency: LatencyLaw;
  readonly loss: Ratio;
  /** At most one of each kind. While a fault of the same kind lasts, the worse of both holds. */
  readonly impairments: readonly Impairment[];
};

/** A radio cell. Beside its mast it is as `latency`, `loss` and `bandwidth` say, and changes with the distance to what `edge` says. */
export type CellSpec = {
  readonly cell: string;
  /** Where its traffic enters the network. */
  readonly zone: ZonePath;
  readonly location: GeoPoint;
  readonly reachMetres: number;
  readonly latency: LatencyLaw;
  readonly loss: Ratio;
  /** Null: all that is sent has room. */
  readonly bandwidth: Extract<Impairment, { readonly kind: 'bandwidth' }> | null;
  readonly edge: { readonly delayMicros: number; readonly loss: Ratio; readonly bytesPerS: number | null };
};

/** A zone that moves: everything in it reaches everything else over the cell that it is attached to. */
export type VehicleSpec = {
  readonly vehicle: ZonePath;
  /** By time; the first is where it is at the start of the run. Between two of them it goes straight and evenly. */
  readonly path: readonly { readonly micros: number; readonly location: GeoPoint }[];
  /** By how much of its reach another cell must be nearer before the vehicle changes to it. */
  readonly hysteresis: Ratio;
  /** During a handover what is sent and what is under way waits so long. */
  readonly interruptionMicros: number;
};

/** A processor that gets hot and slows itself down. Degrees Celsius. */
export type ThermalSpec = {
  /** Around it, and where it begins. */
  readonly ambientCelsius: number;
  /** Where it would end up with all cores busy at full speed. */
  readonly fullCelsius: number;
  /** After so long it has gone 63 % of the way to where it ends up. */
  readonly constantMicros: number;
  /** From here on it is throttled, until it has cooled down to `releaseCelsius`. */
  readonly limitCelsius: number;
  readonly releaseCelsius: number;
  readonly factor: number;
};

export type BatterySpec = {
  /** How long a full one lasts with all cores busy, and with none. */
  readonly fullMicros: number;
  readonly idleMicros: number;
  /** With so much left and less the machine saves power. */
  readonly lowPermille: number;
  readonly factor: number;
  /** How long an empty one takes until it is full and its machine starts; null: until the phase of work ends. */
  readonly chargeMicros: number | null;
};

/** A clock that is wrong for good: how far its civil time is off, and by how much its oscillator is too fast (less than 0: too slow). */
export type ClockSpec = { readonly offsetMicros: number; readonly driftPpm: number };

export type NodeSpec = {
  readonly node: NodeId;
  readonly zone: ZonePath;
  readonly faultDomain: ZonePath;
  readonly location: GeoPoint;
  readonly architecture: Architecture;
  readonly isaFeatures: readonly string[];
  readonly cores: number;
  readonly memoryBytes: number;
  readonly hardware: readonly string[];
  /** Fuel that one core executes in a microsecond. */
  readonly fuelPerMicro: number;
  /** Null: it never gets hot. */
  readonly thermal: ThermalSpec | null;
  /** Null: it hangs on the mains. */
  readonly battery: BatterySpec | null;
  /** Null: its clock is right. */
  readonly clock: ClockSpec | null;
  /** When its agent is started, from the start of the run. */
  readonly startMicros: number;
};

export type FleetSpec = {
  readonly controller: { readonly zone: ZonePath; readonly location: GeoPoint };
  readonly zones: readonly ZoneSpec[];
  /** Every pair of zones has exactly one entry. */
  readonly links: readonly LinkSpec[];
  readonly cells: readonly CellSpec[];
  readonly vehicles: readonly VehicleSpec[];
  readonly nodes: readonly NodeSpec[];
};

/** What of a fleet a world may not be able to produce. */
export type FleetFeature = Impairment['kind'] | 'vehicles' | 'thermal' | 'battery' | 'clock';
export const FLEET_FEATURES: readonly FleetFeature[] = [
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'vehicles',
  'thermal',
  'battery',
  'clock',
];

/** How a module is signed: by the key of its author, by a key nobody trusts, not at all, or changed after signing. */
export type SigningSpec = 'trusted' | 'untrusted' | 'unsigned' | 'tampered';

/** Fuel of one invocation. */
export type FuelLaw =
  | { readonly law: 'constant'; readonly fuel: number }
  | { readonly law: 'uniform'; readonly fuelMin: number; readonly fuelMax: number }
  | { readonly law: 'exponential'; readonly fuelMean: number; readonly fuelMin: number };

/** One thing that a modelled guest asks of the host. */
export type GuestCallSpec =
  | { readonly call: 'read'; readonly key: string }
  | { readonly call: 'write'; readonly key: string; readonly bytes: number }
  | { readonly call: 'publish'; readonly subject: string; readonly bytes: number }
  | { readonly call: 'sleep'; readonly micros: number };

/** H1.9: what a guest costs and does where no engine runs it. */
export type GuestModelSpec = {
  readonly fuel: FuelLaw;
  readonly fuelPerByte: number;
  readonly memoryBytes: number;
  /** The event's data, or so many bytes; 0: nothing. */
  readonly result: 'echo' | { readonly bytes: number };
  readonly calls: readonly GuestCallSpec[];
};

/** The broker's and the control plane's bounds and times that a scenario may set. */
export type PlatformSpec = {
  readonly heartbeatIntervalMs: number;
  readonly suspectAfterMs: number;
  readonly unavailableAfterMs: number;
  readonly leaseMs: number;
  /** Bound: events that the broker holds for its consumers. */
  readonly queueEventsMax: number;
};

export type TimeSpec =
  | { readonly kind: 'at'; readonly micros: number }
  /** Drawn from the seed, uniformly. */
  | { readonly kind: 'between'; readonly microsMin: number; readonly microsMax: number };

/** What a way between two zones does to messages besides delaying and losing them. */
export type Impairment =
  /** So many bytes a second for all machines together, each way. What the queue has no room for is dropped, and sent again. */
  | { readonly kind: 'bandwidth'; readonly bytesPerS: number; readonly queueBytes: number }
  /** Gilbert-Elliott: bursts of `burstMicros` on average, `apartMicros` from each other, in which `ratio` of messages are lost. */
  | { readonly kind: 'burst-loss'; readonly ratio: Ratio; readonly burstMicros: number; readonly apartMicros: number }
  | { readonly kind: 'duplication'; readonly ratio: Ratio }
  /** `ratio` of messages are held back by up to `microsMax`. */
  | { readonly kind: 'reordering'; readonly ratio: Ratio; readonly microsMax: number }
  | { readonly kind: 'corruption'; readonly ratio: Ratio };

export type FaultSpec =
  /** Power loss: unsynced data is gone. Restarts after `forMicros` (null: stays off). Target a node or `controller`. */
  | { readonly kind: 'crash'; readonly machine: string; readonly forMicros: number | null }
  /** Frozen as by SIGSTOP: nothing runs, timers that came due fire after it. */
  | { readonly kind: 'pause'; readonly machine: string; readonly forMicros: number }
  /** Shut down in order (what was written is synced) and started again after `forMicros`. */
  | { readonly kind: 'reboot'; readonly machine: string; readonly forMicros: number }
  /** A reboot into another version of the agent, which it keeps. */
  | { readonly kind: 'upgrade'; readonly machine: string; readonly version: string; readonly forMicros: number }
  /** Power loss, and an empty disk afterwards. */
  | { readonly kind: 'wipe'; readonly machine: string; readonly lastCopy: boolean; readonly forMicros: number }
  /**
   * A copy of the disk is taken, and put back as an old backup is: for the last `offMicros` of the time the machine is off, without power,
   * and then it starts with what it had at the beginning.
   */
  | {
      readonly kind: 'restore';
      readonly machine: string;
      readonly offMicros: number;
      readonly lastCopy: boolean;
      readonly forMicros: number;
    }
  /** Processor hot or battery low: all work of the machine takes `factor` times as long. */
  | { readonly kind: 'throttle'; readonly machine: string; readonly factor: number; readonly forMicros: number }
  /** Something else on the machine takes all memory but `leavesBytes`: when its guests hold more, the system ends their process. */
  | { readonly kind: 'memory-pressure'; readonly machine: string; readonly leavesBytes: number; readonly forMicros: number }
  /** The civil clock is wrong by so much until the end, when it is set right. Monotonic time and timers know nothing of it. */
  | { readonly kind: 'clock-step'; readonly machine: string; readonly byMicros: number; readonly forMicros: number }
  /** The oscillator runs too fast or (ppm < 0) too slow: monotonic and civil time, and every timer. */
  | { readonly kind: 'clock-drift'; readonly machine: string; readonly ppm: number; readonly forMicros: number }
  /** The civil clock stands still; monotonic time and timers go on (a whole machine that stands still is `pause`). */
  | { readonly kind: 'clock-freeze'; readonly machine: string; readonly forMicros: number }
  /** No message between any machine of `a` and any of `b` (zones or machines), both ways. */
  | { readonly kind: 'partition'; readonly a: readonly string[]; readonly b: readonly string[]; readonly forMicros: number }
  /** No message from any machine of `from` to any of `to`; the other way they pass. */
  | {
      readonly kind: 'partition-one-way';
      readonly from: readonly string[];
      readonly to: readonly string[];
      readonly forMicros: number;
    }
  /** Multiplies the delay between two zones. */
  | { readonly kind: 'latency'; readonly a: string; readonly b: string; readonly factor: Ratio; readonly forMicros: number }
  | { readonly kind: 'loss'; readonly a: string; readonly b: string; readonly loss: Ratio; readonly forMicros: number }
  | (Impairment & { readonly a: string; readonly b: string; readonly forMicros: number })
  /** Nothing leaves or reaches these machines (zones or machines); what is under way is held, and goes on afterwards. */
  | { readonly kind: 'clog'; readonly places: readonly string[]; readonly forMicros: number }
  /** Some of these machines are clogged one after the other, and unclogged in another order. */
  | { readonly kind: 'swizzle'; readonly places: readonly string[]; readonly forMicros: number }
  /** The connections that are open between `a` and `b` carry nothing any more, and nobody is told; new ones work. */
  | { readonly kind: 'half-open'; readonly a: readonly string[]; readonly b: readonly string[]; readonly forMicros: number }
  /** No room on the disk of the machine: what it writes fails, what was written stays. */
  | { readonly kind: 'disk-full'; readonly machine: string; readonly forMicros: number }
  /** Every request to the disk takes `factor` times as long. */
  | { readonly kind: 'disk-slow'; readonly machine: string; readonly factor: number; readonly forMicros: number }
  /** A sync says that it is done and is not: a power loss takes what was acknowledged. At the end everything is written. */
  | { readonly kind: 'disk-lies'; readonly machine: string; readonly lastCopy: boolean; readonly forMicros: number }
  /** One bit of every blob flips, for good; with `lastCopy` also one of each key and of the newest record of each journal. */
  | { readonly kind: 'disk-rot'; readonly machine: string; readonly lastCopy: boolean; readonly forMicros: 0 }
  /** What the controller signs while this lasts is signed with a key that agents must not believe. */
  | { readonly kind: 'forge-artefact'; readonly forMicros: number }
  /** Every call of the broker is refused. Control plane and state store of the same controller are well, here and below. */
  | { readonly kind: 'broker-outage'; readonly forMicros: number }
  | { readonly kind: 'broker-slow'; readonly byMicros: number; readonly forMicros: number }
  /** It did what was asked, and nobody hears of it. */
  | { readonly kind: 'broker-loses-answers'; readonly ratio: Ratio; readonly forMicros: number }
  /** It is asked twice; the second answer is nobody's. */
  | { readonly kind: 'broker-repeats'; readonly ratio: Ratio; readonly forMicros: number }
  /** Every connection of the machine is reset at once, on both sides. */
  | { readonly kind: 'reset-connections'; readonly machine: string; readonly forMicros: 0 }
  /** What nodes fetch arrives cut short, with another bit, or in the place of what was fetched before. */
  | { readonly kind: 'spoil-artefact'; readonly how: 'truncated' | 'changed' | 'swapped'; readonly forMicros: number }
  /** A rogue agent beside the real one sends the controller bytes that mean nothing. */
  | { readonly kind: 'garbage'; readonly machine: string; readonly forMicros: number };

export type FaultKind = FaultSpec['kind'];
export const FAULT_KINDS: readonly FaultKind[] = [
  'crash',
  'pause',
  'reboot',
  'upgrade',
  'wipe',
  'restore',
  'throttle',
  'memory-pressure',
  'clock-step',
  'clock-drift',
  'clock-freeze',
  'partition',
  'partition-one-way',
  'latency',
  'loss',
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'clog',
  'swizzle',
  'half-open',
  'disk-full',
  'disk-slow',
  'disk-lies',
  'disk-rot',
  'forge-artefact',
  'broker-outage',
  'broker-slow',
  'broker-loses-answers',
  'broker-repeats',
  'reset-connections',
  'spoil-artefact',
  'garbage',
];

export type StepSpec = { readonly at: TimeSpec } & (
  | { readonly do: 'fault'; readonly fault: FaultSpec }
  /** A version of a module from an example: bytes differ between versions (the version's number is in a custom section). */
  | {
      readonly do: 'push';
      readonly module: ModuleName;
      readonly example: string;
      readonly capabilities: readonly string[] | null;
      readonly limits: Partial<ModuleLimits>;
      /** The simulator plays its guests by this; null: the engine runs them. Other worlds always run them. */
      readonly model: GuestModelSpec | null;
      readonly signing: SigningSpec;
      /** Whose key signs it. */
      readonly author: string;
      /** False: the push must be refused; the runner fails the run when it is not as said. */
      readonly accepted: boolean;
    }
  /** The key of an author is a trusted one from here on, for so long, or (null) until it is revoked. */
  | { readonly do: 'trust'; readonly author: string; readonly forMicros: number | null }
  | { readonly do: 'revoke'; readonly author: string }
  | { readonly do: 'deploy'; readonly spec: DeploymentSpec }
  | { readonly do: 'trigger'; readonly spec: TriggerSpec }
  | { readonly do: 'scale'; readonly deployment: DeploymentName; readonly replicas: number }
  | { readonly do: 'rollback'; readonly deployment: DeploymentName; readonly version: number }
  | { readonly do: 'drain'; readonly node: NodeId }
  | { readonly do: 'undrain'; readonly node: NodeId }
);

export type FaultStep = Extract<StepSpec, { readonly do: 'fault' }>;
/** What an operator does. */
export type OperationSpec = Exclude<StepSpec, FaultStep>;

/** Times the rate of a workload, at points of a period that repeats; straight lines between them, and from the last to the first. */
export type RateCurve = {
  readonly periodMicros: number;
  /** In order of time, the first at 0; `rate` is 1 where events come as `everyMicros` says. At least one is more than 0. */
  readonly points: readonly { readonly micros: number; readonly rate: number }[];
};

export type TracedEvent = {
  readonly micros: number;
  /** Null: the data of the workload. */
  readonly data: string | null;
};

/** A stream of events: from a machine of a zone, at a rate, with data made of a template. */
export type WorkloadSpec = {
  readonly name: string;
  readonly subject: Subject;
  /** Zone that the publisher sits in. */
  readonly from: ZonePath;
  readonly startMicros: number;
  readonly endMicros: number;
  /** Mean distance of two events. */
  readonly everyMicros: number;
  /** steady: exact distance; poisson: exponential distances; burst: `burstEvents` at once each time. */
  readonly shape: 'steady' | 'poisson' | 'burst';
  readonly burstEvents: number;
  /** How the rate changes with time, as over a day; null when it stays as it is. */
  readonly curve: RateCurve | null;
  /** Events of a recording, instead of a rate; their times count from `startMicros`. */
  readonly trace: readonly TracedEvent[] | null;
  /** Text with `{n}` (count from 1), `{id}` and `{random:a:b}` (whole number from the workload's stream). */
  readonly data: string;
  /** Publications of one event before it is given up as refused, when the broker is full or unreachable. */
  readonly attemptsMax: number;
};

export type GoalValue = string | number | boolean;

/** A goal by name with its parameters, times in microseconds. Which names there are: `scenarios/goals`. */
export type GoalSpec = {
  readonly goal: string;
  readonly parameters: Readonly<Record<string, GoalValue | Readonly<Record<string, GoalValue>>>>;
};

export type Scenario = {
  /** File name without ending: the name it is run by. */
  readonly name: string;
  readonly file: string;
  /** One question, which the verdict answers. */
  readonly question: string;
  readonly description: string;
  readonly requirements: readonly string[];
  readonly tags: readonly string[];
  readonly fleet: FleetSpec;
  readonly platform: PlatformSpec;
  readonly steps: readonly StepSpec[];
  readonly workload: readonly WorkloadSpec[];
  /** Subjects whose events the testbed subscribes to and records as `workload.result`. */
  readonly observe: readonly SubjectFilter[];
  /** Keys of the state store that are read at the end and recorded as `state.observed`. */
  readonly observeState: readonly string[];
  readonly goals: readonly GoalSpec[];
  /** Length of the phase in which workload and faults happen. */
  readonly durationMicros: number;
  /** Quiet afterwards: all faults healed; liveness must be reached within it. */
  readonly quietMicros: number;
};
