// The one registry of error codes. `docs/errors.md` is tested against it; a code that is not here cannot be returned.
// R6.6: each code has a category and a way of recovery.

export type ErrorCategory = 'rejected' | 'failed' | 'unknown' | 'bug';

export type ErrorEntry = {
  readonly kind: ErrorCategory;
  readonly meaning: string;
  readonly next: string;
};

export const WM_ERRORS = {
  WM_ARGUMENT: {
    kind: 'rejected',
    meaning: 'A command-line argument, option or field has a value that cannot be used.',
    next: 'Correct the value that the message names; `--help` lists what is accepted.',
  },
  WM_SETTINGS_INVALID: {
    kind: 'rejected',
    meaning: 'A configuration file has settings that do not exist or have values that cannot be used.',
    next: 'Correct the lines that the message names; docs/reference/configuration.md lists every setting.',
  },
  WM_SCENARIO_INVALID: {
    kind: 'rejected',
    meaning: 'A scenario file does not fit the scenario schema, or names things that do not exist in it.',
    next: 'Correct the file at the line the message names.',
  },
  WM_SCENARIO_NOT_FOUND: {
    kind: 'rejected',
    meaning: 'No scenario has the name or path that was given.',
    next: 'Run `wasmmatrix scenario list` for the names.',
  },
  WM_RECORD_INVALID: {
    kind: 'rejected',
    meaning: 'A file that was named as the record of a run is none, cannot be read, or was cut off.',
    next: 'Name a run.jsonl that `wasmmatrix run` wrote, or the report folder that it is in.',
  },
  WM_FAULT_UNSUPPORTED: {
    kind: 'rejected',
    meaning: 'The world that was chosen cannot produce a fault kind, or something of a fleet, that the scenario asks for.',
    next: 'Choose another target, or remove the fault from the scenario.',
  },
  WM_ENGINE_TOOLCHAIN: {
    kind: 'rejected',
    meaning: 'The engine addon has to be built and no suitable Rust toolchain was found.',
    next: 'Install Rust as the message says, then repeat the command.',
  },
  WM_ENGINE_BUILD: {
    kind: 'failed',
    meaning: 'Building the engine addon failed.',
    next: 'Read the compiler output above the message; a full disk and a missing C compiler are the usual causes.',
  },
  WM_TARGET_TOOLS: {
    kind: 'rejected',
    meaning: 'A program that builds, runs or checks code of other architectures is not on this machine.',
    next: 'Install the package that the message names, then repeat the command.',
  },
  WM_PACKAGES: {
    kind: 'failed',
    meaning: 'Debian packages could not be fetched, checked or unpacked.',
    next: 'Repeat it; if it stays so, look at the mirror that apt is configured with, and at the room on the disk.',
  },
  WM_INVENTORY_INVALID: {
    kind: 'rejected',
    meaning: 'An inventory of devices cannot be read, or has fields that do not exist or cannot be used.',
    next: 'Correct the lines that the message names; docs/howto/devices.md describes every field.',
  },
  WM_DEVICE_UNREACHABLE: {
    kind: 'failed',
    meaning: 'A physical device does not answer over SSH, or does not let us in.',
    next: 'Look whether it is on, and whether `ssh` with the same key and host gets in without a question.',
  },
  WM_DEVICE: {
    kind: 'failed',
    meaning: 'A physical device cannot be what the inventory says, or something that was asked of it went wrong there.',
    next: 'Correct what the message names; `devices check` says what a device lacks, `devices collect` brings its log.',
  },
  WM_MACHINE: {
    kind: 'failed',
    meaning: 'An emulated machine could not be started, or does not answer or obey.',
    next: 'Look at its console (`wasmmatrix machines console <name>`), and start it again.',
  },
  WM_PACE_LOST: {
    kind: 'failed',
    meaning:
      'The simulated nodes of a run with hardware in the loop came too late to count as real time, so nothing can be said of the run.',
    next: 'Play it with a larger `--pace` or with fewer nodes, or give this machine less to do.',
  },
  WM_CONFORMANCE: {
    kind: 'failed',
    meaning: 'The conformance set did not come to its end on a machine, so nothing can be said about it.',
    next: 'Read what the player said; a machine with too little memory is the usual cause.',
  },
  WM_GUEST_BUILD: {
    kind: 'failed',
    meaning: 'An example module could not be compiled.',
    next: 'Read the compiler output in the message and correct the source it names.',
  },
  WM_MODULE_INVALID: {
    kind: 'rejected',
    meaning: 'The bytes are not a WebAssembly module that this platform runs.',
    next: 'Build it as a WASI preview 1 command or a WASI 0.2 component; the message names what is wrong.',
  },
  WM_MODULE_FEATURE: {
    kind: 'rejected',
    meaning: 'A module uses instructions that machines of an ISA feature level cannot run.',
    next: 'Give the platform nodes of a higher level, or build the module without these instructions; `get matrix` shows both.',
  },
  WM_MODULE_IMPORT: {
    kind: 'rejected',
    meaning: 'A module imports something the platform does not offer.',
    next: 'Remove the import, or use the functions of docs/reference/guest-abi.md.',
  },
  WM_MODULE_UNKNOWN: {
    kind: 'rejected',
    meaning: 'No module or version has this name.',
    next: 'Push the module first, or correct the name or version.',
  },
  WM_SIGNATURE_MISSING: {
    kind: 'rejected',
    meaning: 'A module came without a signature.',
    next: 'Sign the module with a key that the trust store holds.',
  },
  WM_SIGNATURE_INVALID: {
    kind: 'rejected',
    meaning: 'A signature does not match the bytes it claims to sign.',
    next: 'Sign again, and make sure that the file was not changed after signing.',
  },
  WM_SIGNER_UNTRUSTED: {
    kind: 'rejected',
    meaning: 'The key that signed is not in the trust store, or was revoked.',
    next: 'Add the key to the trust store, or sign with a trusted key.',
  },
  WM_DIGEST_MISMATCH: {
    kind: 'rejected',
    meaning: 'Bytes do not have the digest that was promised.',
    next: 'Fetch or upload again; if it happens twice, the store or the link changes bytes.',
  },
  WM_KEY_UNUSABLE: {
    kind: 'rejected',
    meaning: 'A private key file is damaged, or readable by others than its owner.',
    next: 'Restore the file, or give it back to its owner alone if nobody copied it.',
  },
  WM_CAPABILITY_INVALID: {
    kind: 'rejected',
    meaning: 'A declared capability is not one the platform knows.',
    next: 'Use a capability of docs/reference/guest-abi.md.',
  },
  WM_CAPABILITY_NOT_GRANTABLE: {
    kind: 'rejected',
    meaning: 'A module declares a capability that its signer may not grant.',
    next: 'Remove the capability, or sign with a key that may grant it.',
  },
  WM_CAPABILITY_REFUSED: {
    kind: 'rejected',
    meaning: 'A guest tried an operation that no capability of it covers.',
    next: 'Declare the capability in the module, if the module should have it.',
  },
  WM_PROFILE_MISMATCH: {
    kind: 'rejected',
    meaning: 'A compiled artefact was made for another compile profile, architecture or engine version.',
    next: 'Compile the module for the profile of this node; the controller does so on its own for enrolled profiles.',
  },
  WM_POOL_FULL: {
    kind: 'failed',
    meaning: 'Every instance slot of the engine is in use.',
    next: 'Close guests, lower the concurrency, or raise `poolSlots` of the profile.',
  },
  WM_GUEST_CLOSED: { kind: 'rejected', meaning: 'A guest, module or engine was used after it was closed.', next: 'Start a new guest.' },
  WM_GUEST_LIMIT: {
    kind: 'rejected',
    meaning: 'A limit asked for a guest lies outside what the engine profile allows.',
    next: 'Lower the limit, or raise it in the profile.',
  },
  WM_GUEST_TRAPPED: {
    kind: 'failed',
    meaning: 'A guest stopped with a trap.',
    next: 'The event is retried and then dead-lettered; read the trap in the record and correct the module.',
  },
  WM_GUEST_EXHAUSTED: {
    kind: 'failed',
    meaning: 'A guest used up its fuel or another quota.',
    next: 'Raise the limit in the module manifest, or correct an endless loop.',
  },
  WM_GUEST_EXIT: {
    kind: 'failed',
    meaning: 'A guest ended with an exit code other than 0.',
    next: 'The event is retried and then dead-lettered; read the log of the guest.',
  },
  WM_NODE_UNKNOWN: { kind: 'rejected', meaning: 'No node has this name.', next: 'List the nodes, or enrol the node.' },
  WM_NODE_REFUSED: {
    kind: 'rejected',
    meaning: 'An agent was not let in, or a caller asked for what is not its own.',
    next: 'Check the join token, and the identity of whoever called.',
  },
  WM_CERTIFICATE_REFUSED: {
    kind: 'rejected',
    meaning: 'A certificate was not accepted: expired, revoked, from another authority, or not of the machine that was expected.',
    next: 'Enrol the machine again, or renew its certificate; check that its clock is right.',
  },
  WM_DEPLOYMENT_INVALID: {
    kind: 'rejected',
    meaning: 'A deployment or trigger is incomplete or contradicts itself.',
    next: 'Correct the field that the message names.',
  },
  WM_DEPLOYMENT_UNKNOWN: { kind: 'rejected', meaning: 'No deployment has this name.', next: 'List the deployments, or apply it first.' },
  WM_PLACEMENT_INFEASIBLE: {
    kind: 'failed',
    meaning: 'No node can take an instance now.',
    next: 'Read the reasons; add a node or relax the requirement. Placement is tried again when something changes.',
  },
  WM_STALE_TERM: {
    kind: 'rejected',
    meaning: 'A message carries an older leader term or revision than one already seen.',
    next: 'Nothing: the newer leader decides.',
  },
  WM_FENCED: {
    kind: 'rejected',
    meaning: 'An effect came from an instance epoch that was superseded.',
    next: 'Nothing: the instance was placed elsewhere, and its successor handles the event.',
  },
  WM_LEASE_LAPSED: {
    kind: 'failed',
    meaning: 'An agent lost contact for longer than its lease and stopped movable work.',
    next: 'Nothing: work resumes when the controller assigns it again.',
  },
  WM_CONFLICT: { kind: 'rejected', meaning: 'A compare-and-set found another version.', next: 'Read again and decide on the new value.' },
  WM_NOT_FOUND: { kind: 'rejected', meaning: 'Nothing is stored under this name or digest.', next: 'Check the name; store it first.' },
  WM_WATCH_BEHIND: {
    kind: 'failed',
    meaning: 'An operator read its stream more slowly than things changed, and was ended before anything was left out.',
    next: 'Open the stream again: what is now comes first. Read faster, or watch less.',
  },
  WM_BUS_FULL: {
    kind: 'rejected',
    meaning: 'The broker holds as many unprocessed events as its bound allows.',
    next: 'Publish again later; consumers must catch up first.',
  },
  WM_BUS_CONSUMER_UNKNOWN: { kind: 'rejected', meaning: 'No durable consumer has this name.', next: 'Create the consumer first.' },
  WM_NATS_REFUSED: {
    kind: 'rejected',
    meaning: 'A NATS server does not let this process in, has no JetStream, or does not call fsync before it acknowledges.',
    next: 'Correct the credentials or the configuration of the server, as the message says.',
  },
  WM_MQTT_REFUSED: {
    kind: 'rejected',
    meaning: 'An MQTT broker does not let this process in, or refuses what it wants to read or publish.',
    next: 'Correct user name, password or client identifier, or the access rules of the broker, as the message says.',
  },
  WM_EVENT_INVALID: {
    kind: 'rejected',
    meaning: 'An event has an invalid subject, identifier or size.',
    next: 'Correct the event as the message says.',
  },
  WM_MESSAGE_INVALID: {
    kind: 'rejected',
    meaning: 'Bytes from the network are not a message of this protocol.',
    next: 'Update the older side; if both are current, the link changes bytes.',
  },
  WM_MESSAGE_TOO_LARGE: { kind: 'rejected', meaning: 'A message is larger than its bound.', next: 'Send less, or in parts.' },
  WM_UNREACHABLE: { kind: 'failed', meaning: 'The other side could not be reached; nothing was sent.', next: 'Try again with backoff.' },
  WM_CONNECTION_LOST: {
    kind: 'unknown',
    meaning: 'The connection ended while an answer was outstanding.',
    next: 'Observe whether it happened before repeating it.',
  },
  WM_DEADLINE: {
    kind: 'unknown',
    meaning: 'No answer came before the deadline.',
    next: 'Observe whether it happened before repeating it.',
  },
  WM_CANCELLED: {
    kind: 'failed',
    meaning: 'The operation was cancelled by its caller or by shutdown.',
    next: 'Repeat it if it is still wanted.',
  },
  WM_STORAGE_FULL: { kind: 'failed', meaning: 'The store has no room left.', next: 'Free space; what was acknowledged is kept.' },
  WM_STORAGE_FAILED: {
    kind: 'unknown',
    meaning: 'The store reported an error while writing.',
    next: 'The process ends and recovers from what is on disk.',
  },
  WM_STORAGE_IN_USE: {
    kind: 'rejected',
    meaning: 'Another process has the store open.',
    next: 'Stop that process, or give this one a folder of its own.',
  },
  WM_STORAGE_VERSION: {
    kind: 'rejected',
    meaning: 'The store was written by a newer version, or is no store of WasmMatrix.',
    next: 'Start the version that wrote it, or name another folder.',
  },
  WM_STORAGE_UNSUITABLE: {
    kind: 'rejected',
    meaning: 'The NATS server, or a stream on it, is not set up so that a store or a queue can keep its promises.',
    next: 'Change the setting that the message names; docs/howto/production.md has a whole configuration.',
  },
  WM_JOURNAL_CONFLICT: {
    kind: 'rejected',
    meaning: 'The journal is at another sequence than expected: another leader wrote.',
    next: 'This process ends; the newer leader goes on.',
  },
  WM_JOURNAL_CORRUPT: {
    kind: 'rejected',
    meaning: 'A record of a journal, a value or a snapshot is not what was written.',
    next: 'Restore the store from a copy; the message names what is damaged.',
  },
  WM_AMBIENT_CALL: {
    kind: 'bug',
    meaning: 'Simulated code asked the process for time, chance, timers or I/O instead of a port.',
    next: 'Use the port that the message names.',
  },
  WM_NOT_DETERMINISTIC: {
    kind: 'bug',
    meaning: 'Two plays of one seed differed.',
    next: 'Look at the first differing event that the message names.',
  },
  WM_BUG: { kind: 'bug', meaning: 'An invariant of the product broke.', next: 'Report it with the command that reproduces it.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof WM_ERRORS;
