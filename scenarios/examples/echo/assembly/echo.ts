/** Answers an event with its own data, whatever its size: it never holds more than one buffer of it. */
import { outputSpan, readInput } from "../../sdk/assembly/sdk";

const BUFFER_BYTES: i32 = 16384;

const buffer = memory.data(BUFFER_BYTES, 8);

for (let bytes = readInput(buffer, BUFFER_BYTES); bytes > 0; bytes = readInput(buffer, BUFFER_BYTES)) {
  outputSpan(buffer, bytes);
}
