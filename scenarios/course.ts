// What the parts of the driver share of a run under way.
import type { Scenario } from './scenario.ts';
import type { Testbed } from './testbed.ts';

export type Course = {
  readonly testbed: Testbed;
  readonly scenario: Scenario;
  /** True when nothing more is to be begun: cancelled, in trouble, or broken and told to stop then. */
  readonly isOver: () => boolean;
  /** True from the end of the phase with workload and faults. */
  readonly hasWorked: () => boolean;
  /** True once the controller lost what only its disk had: commands may name what is gone. */
  readonly hasLost: () => boolean;
  /** Ends the run; the first trouble is the one that is told. */
  readonly stopWith: (trouble: string) => void;
  /** Waits for a time counted from the start of the run; returns early when the run is over. */
  readonly sleepUntil: (micros: number) => Promise<void>;
};
