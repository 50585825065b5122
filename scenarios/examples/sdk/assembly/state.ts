/** State by compare-and-set: read an entry, compute, write with the version that was read, start again on conflict. */
import { Bytes } from "./bytes";
import { ERROR_INVALID, ERROR_NOT_FOUND, state_get, state_set, takeResponse } from "./host";

const NEWLINE: u8 = 0x0a;

export class StateEntry {
  constructor(
    /** 0, or one of the ERROR_ constants. */
    public error: i32,
    /** Decimal; "0" where the key is absent, which is also what `stateSet` expects for a key that must not exist. */
    public version: Bytes,
    public value: Bytes,
  ) {}
}

export function stateGet(key: string): StateEntry {
  const request = Bytes.of(key);
  const result = state_get(request.start, request.length);
  const version = new Bytes(0);
  const value = new Bytes(0);
  if (result < 0) {
    if (result == ERROR_NOT_FOUND) version.byte(0x30);
    return new StateEntry(result, version, value);
  }
  const response = takeResponse(result);
  version.start = response.start;
  while (version.end < response.end && load<u8>(version.end) != NEWLINE) version.length += 1;
  if (version.end == response.end) return new StateEntry(ERROR_INVALID, version, value);
  value.start = version.end + 1;
  value.length = response.end - value.start;
  return new StateEntry(0, version, value);
}

/** Writes the value if the key still has the expected version; "0": it must not exist, "*": whatever it has. */
export function stateSet(key: string, expectedVersion: Bytes, value: Bytes): StateEntry {
  const request = new Bytes(<usize>key.length + expectedVersion.length + value.length + 2);
  request.text(key).byte(NEWLINE).bytes(expectedVersion).byte(NEWLINE).bytes(value);
  const result = state_set(request.start, request.length);
  return result < 0 ? new StateEntry(result, new Bytes(0), value) : new StateEntry(0, takeResponse(result), value);
}
