/**
 * What a guest in AssemblyScript needs of WasmMatrix (docs/reference/guest-abi.md). A guest imports this door only. Nothing
 * here runs before it is called, and what a guest does not use is neither compiled nor imported by its module.
 */
export { event, Event, readInput } from "./event";
export { Bytes } from "./bytes";
export { output, outputSpan, outputText, fail } from "./output";
export { stateGet, stateSet, StateEntry } from "./state";
export { publish } from "./publish";
export { log } from "./log";
export {
  ERROR_DENIED,
  ERROR_NOT_FOUND,
  ERROR_CONFLICT,
  ERROR_UNAVAILABLE,
  ERROR_LIMIT_EXCEEDED,
  ERROR_INVALID,
} from "./host";
