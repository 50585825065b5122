/**
 * Burns CPU in proportion to the number in its event: so many steps of a xorshift generator, each of the same few
 * instructions. The result is the generator's last value, which nobody can know without having done the work.
 */
import { Bytes, event, fail, output } from "../../sdk/assembly/sdk";

/** Bound: with more digits the number of steps could not be counted; fuel ends such a run long before. */
const DIGITS_MAX: usize = 18;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const data = event().readData();
const steps = parseSteps(data);
if (steps < 0) fail("the event is not a whole number of steps");

output(new Bytes(64).text('{"steps":').decimal(steps).text(',"value":').decimal(burn(steps)).byte(0x7d));

/** The last value, cut to 53 bits so that every reader of JSON can hold it. */
function burn(steps: i64): i64 {
  let value: u64 = SEED;
  for (let left = steps; left > 0; left -= 1) {
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
  }
  return <i64>(value >> 11);
}

/** Negative where the text, apart from white space at its end, is not a number. */
function parseSteps(text: Bytes): i64 {
  let length = text.length;
  while (length > 0 && load<u8>(text.start + length - 1) <= 0x20) length -= 1;
  if (length == 0 || length > DIGITS_MAX) return -1;
  let steps: i64 = 0;
  for (let at: usize = 0; at < length; at += 1) {
    const digit = load<u8>(text.start + at) - 0x30;
    if (digit > 9) return -1;
    steps = steps * 10 + digit;
  }
  return steps;
}
