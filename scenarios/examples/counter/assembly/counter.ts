/**
 * Counts events exactly once although each is delivered at least once. Count and the ids of the events counted last stand
 * in one value under one key, so that one compare-and-set both counts an event and remembers it.
 *
 * The value: the count in decimal, a newline, then the ids, newest first, each after one byte with its length.
 */
import { Bytes, ERROR_CONFLICT, ERROR_NOT_FOUND, event, fail, output, stateGet, stateSet } from "../../sdk/assembly/sdk";

const COUNT_KEY: string = "counter/count";
/** Bound: an event that is delivered again after so many others were counted is counted again. */
const RECENT_EVENTS_MAX: i32 = 256;
const EVENT_ID_BYTES_MAX: usize = 255;
/** Bound: a guest that loses this many races fails, and its event is delivered again. */
const CONFLICT_RETRIES_MAX: i32 = 16;
const NEWLINE: u8 = 0x0a;

const id = event().id;
if (id.length == 0 || id.length > EVENT_ID_BYTES_MAX) fail("an event needs an id of 1 to 255 bytes to be counted");

let isSettled = false;
for (let retries = 0; retries <= CONFLICT_RETRIES_MAX && !isSettled; retries += 1) isSettled = count(id);
if (!isSettled) fail("too many others count at the same time");

/** One attempt; false when another guest was faster. */
function count(id: Bytes): bool {
  const entry = stateGet(COUNT_KEY);
  if (entry.error != 0 && entry.error != ERROR_NOT_FOUND) fail("the count cannot be read");
  const end = entry.value.end;
  let at = entry.value.start;
  let total: i64 = 0;
  for (; at < end && load<u8>(at) != NEWLINE; at += 1) total = total * 10 + (load<u8>(at) - 0x30);
  if (at < end) at += 1;

  const lastByte = load<u8>(id.end - 1);
  const recent = at;
  let keptEnd = at;
  for (let events = 1; at < end; events += 1) {
    const length = <usize>load<u8>(at);
    // Ids made in a row differ at their end, so that is compared first.
    if (length == id.length && load<u8>(at + length) == lastByte && memory.compare(at + 1, id.start, length) == 0) {
      report(total, false);
      return true;
    }
    at += 1 + length;
    if (events < RECENT_EVENTS_MAX) keptEnd = at;
  }

  const kept = keptEnd - recent;
  const value = new Bytes(kept + id.length + 32).decimal(total + 1).byte(NEWLINE);
  value.byte(<u8>id.length).bytes(id).span(recent, kept);
  const error = stateSet(COUNT_KEY, entry.version, value).error;
  if (error == ERROR_CONFLICT) return false;
  // Whether the write happened may be unknown here; the next delivery finds the event's id, or counts it.
  if (error != 0) fail("the count cannot be written");
  report(total + 1, true);
  return true;
}

function report(total: i64, isCounted: bool): void {
  output(new Bytes(64).text('{"count":').decimal(total).text(isCounted ? ',"counted":true}' : ',"counted":false}'));
}
