// What a kind of nodes has to offer that are no processes of their own: emulated machines and physical devices, which speak over the
// proxies of the run, or nodes that share a process and carry their links themselves.
import type { FleetSpec, NodeSpec } from '../../scenarios/scenario.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { LinkFault } from './links.ts';
import type { FleetMachine, FleetMachineHooks } from './machine.ts';
import type { ForeignClock } from './records.ts';

/** A node with a file of records and a clock of its own, or without: then its kind has them (`ForeignNodes.records`). */
export type ForeignNode = FleetMachine &
  ({ readonly records: string; readonly clock: ForeignClock } | { readonly records: null; readonly clock: null });

export type ForeignContext = {
  /** With the times of the wall. */
  readonly fleet: FleetSpec;
  /** Folder of the run. */
  readonly folder: string;
  /** For nodes; leads to the controller past every link. */
  readonly joinToken: string;
  /** `host:port` of loopback for each node that is dialled, by its name; past every link too. */
  readonly ways: Readonly<Record<string, string>>;
  readonly paceFactor: number;
  readonly environment: Readonly<Record<string, string>>;
  /** A process that must not outlive the run, and its end. */
  readonly began: (pid: number) => void;
  readonly ended: (pid: number) => void;
};

/** A way from one node to another, over their link. */
export type Door = {
  /** Under which everybody reaches the other node. */
  readonly port: number;
  /** `host:port` of loopback where this node's way to it begins. */
  readonly door: string;
};

export type ForeignNodes = {
  /** In notes, in the plural. */
  readonly what: string;
  has(node: string): boolean;
  create(request: {
    readonly node: NodeSpec;
    /** Folder of the run. */
    readonly folder: string;
    /** Empty for nodes that share a process. */
    readonly joinToken: string;
    /** Port of loopback under which others reach the node; 0 for nodes that share a process, which nobody dials. */
    readonly ingressPort: number;
    /** Silence before its connections are probed, by the wall. */
    readonly keepaliveMs: number;
    /** To every other node that is dialled; empty unless `needsDoors`. */
    readonly doors: readonly Door[];
    readonly hooks: FleetMachineHooks;
  }): ForeignNode;
  /** Who dials from one of them cannot be told by its process, so each has its own ways to the others. */
  readonly needsDoors?: true;
  /** How many times slower a run passes for them. */
  readonly paceFactor: number;
  /** `host:port` of loopback, as one of them names it; absent: as everybody does. */
  outside?(address: string): string;
  /** Of nodes that share a process: starts it, before the first of them is made. The controller answers by then. */
  open?(context: ForeignContext): Promise<Outcome<void>>;
  /** Of nodes that share a process: the file of all their records, by the clock of this machine. */
  records?(folder: string): string;
  /** Of nodes that carry their links themselves: what befalls links. */
  begin?(fault: string, link: LinkFault): void;
  end?(fault: string): void;
  /** From here on the times of the scenario count. */
  measure?(): void;
  /** Stops in order what `open` started. */
  close?(): Promise<void>;
};
