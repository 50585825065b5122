// Every bound and interval of an agent by name (R13.5). What happens at a bound is said where it is met.

export type AgentBounds = {
  // session
  /** A connection that is not there by then is given up. */
  readonly connectDeadlineMs: number;
  /** A hello without a welcome by then ends the session. */
  readonly welcomeDeadlineMs: number;
  /** Heartbeats in a row without any answer after which the session is dropped and dialled anew. */
  readonly silentHeartbeatsMax: number;
  /** A controller that asks for more frequent heartbeats gets these. */
  readonly heartbeatIntervalMsMin: number;
  readonly redialMs: number;
  readonly redialMsMax: number;
  /** Mean pause after a controller refused this agent. */
  readonly refusedRetryMs: number;
  /** Refusals that wait for a session; more drop the oldest. */
  readonly refusalsQueuedMax: number;
  /** Refusal messages of one second; more are counted and not sent. */
  readonly refusalsPerSecondMax: number;
  /** Lines of guests that wait for a session; more drop the oldest, which are counted. */
  readonly logLinesQueuedMax: number;
  /** Lines of one second; more are counted and not sent. */
  readonly logLinesPerSecondMax: number;
  readonly logLinesPerMessageMax: number;
  /** How long the first of several lines waits for the others. */
  readonly logDelayMs: number;
  /** Reports of instances that are gone, kept until a session has carried them; more drop the oldest. */
  readonly endedReportsMax: number;

  // artefacts
  readonly fetchBytes: number;
  readonly fetchDeadlineMs: number;
  /** Downloads at a time. */
  readonly downloadsMax: number;
  /** Downloads of one artefact that end with other bytes than promised before it is refused. */
  readonly downloadAttemptsMax: number;
  readonly fetchRetryMs: number;
  readonly fetchRetryMsMax: number;
  /** Bytes of one artefact; larger ones are refused. */
  readonly artefactBytesMax: number;
  /** Artefacts on disk that nothing desires any more. */
  readonly artefactsSpareMax: number;

  /** How often a node that is out of touch looks which keys have expired. */
  readonly expiryCheckMs: number;

  // invocations
  /** Invocations at a time on the node, over all instances. */
  readonly invocationsMax: number;
  /** Operations one invocation may ask of the host; the next ones are answered with "limit exceeded". */
  readonly hostCallsMax: number;
  /** Answers of "limit exceeded" before the guest is ended as exhausted. */
  readonly hostCallsRefusedMax: number;
  /** Refused operations of one invocation that are recorded one by one; the guest is refused the others as well. */
  readonly refusalsToldMax: number;
  /** Log lines of one invocation; more are answered with "limit exceeded". */
  readonly logLinesMax: number;
  readonly stateDeadlineMs: number;
  readonly publishDeadlineMs: number;
  /** Attempts to publish a result or to settle a delivery, all within its ack wait. */
  readonly effectAttemptsMax: number;
  readonly effectRetryMs: number;
  readonly effectRetryMsMax: number;
  /** How long a fetch of events is held open when there are none. */
  readonly fetchWaitMs: number;
  readonly fetchEventsMax: number;
  readonly busRetryMs: number;
  readonly busRetryMsMax: number;
  /** Running invocations of an instance that is given up in order may finish within this time. */
  readonly drainMs: number;
  /** The same when the agent stops: whoever stops it says how long they wait. */
  readonly stopDrainMs: number;
  /** When the agent stops: for its last reports to leave. */
  readonly flushMs: number;
  readonly logCharactersMax: number;

  // what it says about itself
  readonly metricsIntervalMs: number;
  /** How often a node that moves looks where it is. */
  readonly locateIntervalMs: number;
  /** A node that moved by less, in degrees either way, does not say so. */
  readonly locateDegreesMin: number;
  /** Least time between two rounds; four heartbeats where those take longer. */
  readonly probeIntervalMs: number;
  readonly probeDeadlineMs: number;
  /** Landmarks probed in one round; the others wait for the next. */
  readonly probesPerRoundMax: number;
  /** Round trips of one landmark that are remembered; the least of them is reported. */
  readonly probeSamplesMax: number;
};

const KIB = 1024;
const MIB = 1024 * KIB;

export const AGENT_BOUNDS: AgentBounds = Object.freeze({
  connectDeadlineMs: 3_000,
  welcomeDeadlineMs: 3_000,
  silentHeartbeatsMax: 4,
  heartbeatIntervalMsMin: 20,
  redialMs: 100,
  redialMsMax: 2_000,
  refusedRetryMs: 5_000,
  refusalsQueuedMax: 64,
  refusalsPerSecondMax: 20,
  logLinesQueuedMax: 512,
  logLinesPerSecondMax: 200,
  logLinesPerMessageMax: 64,
  logDelayMs: 200,
  endedReportsMax: 256,

  fetchBytes: 512 * KIB,
  fetchDeadlineMs: 10_000,
  downloadsMax: 4,
  downloadAttemptsMax: 2,
  fetchRetryMs: 100,
  fetchRetryMsMax: 5_000,
  artefactBytesMax: 64 * MIB,
  artefactsSpareMax: 16,
  expiryCheckMs: 5_000,

  invocationsMax: 256,
  hostCallsMax: 10_000,
  hostCallsRefusedMax: 64,
  refusalsToldMax: 32,
  logLinesMax: 256,
  stateDeadlineMs: 2_000,
  publishDeadlineMs: 2_000,
  effectAttemptsMax: 16,
  effectRetryMs: 20,
  effectRetryMsMax: 1_000,
  fetchWaitMs: 2_000,
  fetchEventsMax: 64,
  busRetryMs: 50,
  busRetryMsMax: 2_000,
  drainMs: 5_000,
  stopDrainMs: 5_000,
  flushMs: 500,
  logCharactersMax: 2_048,

  metricsIntervalMs: 5_000,
  locateIntervalMs: 1_000,
  locateDegreesMin: 0.0005,
  probeIntervalMs: 2_000,
  probeDeadlineMs: 2_000,
  probesPerRoundMax: 8,
  probeSamplesMax: 4,
});
