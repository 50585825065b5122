/**
 * Keeps the highest speed of each road: an event is `<road> <speed>`, in whole km/h. A maximum is the same however often an event is
 * delivered and in whatever order events come, so that nothing has to remember them.
 */
import { Bytes } from "../../sdk/assembly/bytes";
import { Cas, LEVEL_WARN, log, publish, readEvent, write } from "../../sdk/assembly/component";

export { realloc } from "../../sdk/assembly/component";

/** Bound: how often another may be faster. */
const SWAPS_MAX: i32 = 16;

const OK: i32 = 0;
const FAILED: i32 = 1;

function refuse(why: string): i32 {
  log(LEVEL_WARN, Bytes.of("worst-speed"), Bytes.of(why));
  return FAILED;
}

/** Decimal digits; -1 for anything else. */
function numberIn(start: usize, end: usize): i64 {
  if (start >= end || end - start > 15) return -1;
  let value: i64 = 0;
  for (let at = start; at < end; at += 1) {
    const digit = load<u8>(at) - 0x30;
    if (digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

export function run(): i32 {
  const data = readEvent();
  if (data === null) return refuse("the event is too large");
  let space = data.start;
  while (space < data.end && load<u8>(space) != 0x20) space += 1;
  const speed = numberIn(space + 1, data.end);
  if (space == data.start || speed < 0) return refuse("the event is no road with a speed");
  const road = new Bytes().span(data.start, space - data.start);
  const cas = Cas.of(Bytes.of("worst"), road);
  if (cas === null) return refuse("the worst speed cannot be read");
  let worst: i64 = -1;
  for (let tries = 0; ; tries += 1) {
    const known = cas.current();
    worst = numberIn(known.start, known.end);
    if (speed <= worst || cas.swap(new Bytes().decimal(speed))) break;
    if (!cas.isStale) return refuse("the worst speed cannot be written");
    if (tries >= SWAPS_MAX) return refuse("others were faster too often");
  }
  const isNew = speed > worst;
  const answer = Bytes.of('{"road":').json(road).text(',"worst":').decimal(isNew ? speed : worst).text(isNew ? ',"new":true}' : ',"new":false}');
  if (isNew && !publish(Bytes.of("records.speed"), answer)) return refuse("the record cannot be told");
  return write(answer) ? OK : FAILED;
}
