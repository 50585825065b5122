/**
 * Goes wrong in the way its event names, and in no way otherwise:
 * trap (unreachable), bounds (reads outside its memory), stack (calls itself without end), spin (loops without end),
 * grow (takes all the memory there is; the platform stops it at its limit), fail (exits with code 1).
 */
import { Bytes, event, fail, output, outputText } from "../../sdk/assembly/sdk";

const PAGE_BYTES: i64 = 65536;
const GROW_PAGES: i32 = 256;
const OUTSIDE: usize = 0xffff_fff0;

const word = event().readData();
if (word.equals("trap")) unreachable();
else if (word.equals("bounds")) load<u64>(OUTSIDE);
else if (word.equals("stack")) recurse(word.length);
else if (word.equals("spin")) spin();
else if (word.equals("grow")) grow();
else if (word.equals("fail")) fail("told to fail");
else outputText("ok");

function recurse(depth: usize): usize {
  return recurse(depth + 1) ^ depth;
}

function spin(): void {
  for (;;) {}
}

/** Large steps first, then ever smaller ones, so that what is left at the end is less than a page. */
function grow(): void {
  // Made first: where all memory can be had, there is no address left behind it to allocate at.
  const result = new Bytes(128);
  for (let pages = GROW_PAGES; pages > 0; pages >>= 1) {
    while (memory.grow(pages) >= 0) {}
  }
  const bytes = <i64>memory.size() * PAGE_BYTES;
  output(result.text('{"memoryBytes":').decimal(bytes).byte(0x7d));
}
