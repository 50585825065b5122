/** The result of a guest (standard output) and the way it gives up (a line on standard error, exit code 1). */
import { Bytes } from "./bytes";
import { fd_write, FD_STDERR, FD_STDOUT, proc_exit } from "./wasi";

const EXIT_FAILED: i32 = 1;

const writeVector = memory.data(12, 4);

/** Adds to the result. */
export function output(result: Bytes): void {
  outputSpan(result.start, result.length);
}

export function outputText(result: string): void {
  output(Bytes.of(result));
}

export function outputSpan(start: usize, length: usize): void {
  if (!write(FD_STDOUT, start, length)) fail("the result cannot be written");
}

/** Ends the guest: the event counts as failed and is delivered again, as far as the trigger's policy allows. */
export function fail(reason: string): void {
  const line = Bytes.of(reason).byte(0x0a);
  write(FD_STDERR, line.start, line.length);
  proc_exit(EXIT_FAILED);
}

/** A host may take less than it is offered, but never nothing. */
function write(fd: i32, start: usize, length: usize): bool {
  while (length > 0) {
    store<usize>(writeVector, start);
    store<usize>(writeVector, length, 4);
    if (fd_write(fd, writeVector, 1, writeVector + 8) != 0) return false;
    const written = load<usize>(writeVector, 8);
    if (written == 0) return false;
    start += written;
    length -= written;
  }
  return true;
}
