/** The event a guest was started for. Each part is read from the host when it is first asked for, and only then. */
import { Bytes } from "./bytes";
import { environment } from "./environment";
import { fail } from "./output";
import { fd_read, FD_STDIN } from "./wasi";

/** Bound: a larger event fails the guest instead of filling its memory. */
const EVENT_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 4096;

const readVector = memory.data(12, 4);

export class Event {
  /** Unique for the event and the same at each of its deliveries. */
  get id(): Bytes {
    return environment("WM_EVENT_ID");
  }

  get subject(): Bytes {
    return environment("WM_EVENT_SUBJECT");
  }

  get trigger(): Bytes {
    return environment("WM_TRIGGER");
  }

  /** Decimal; "1" at the first delivery. */
  get attempt(): Bytes {
    return environment("WM_ATTEMPT");
  }

  /** Reads standard input to its end: to be called once. */
  readData(): Bytes {
    const data = new Bytes(READ_BYTES);
    while (data.length <= EVENT_BYTES_MAX) {
      data.reserve(READ_BYTES);
      const bytes = readInput(data.end, READ_BYTES);
      if (bytes == 0) return data;
      data.length += bytes;
    }
    fail("the event is larger than this guest reads");
    return data;
  }
}

export function event(): Event {
  return new Event();
}

/** One read of standard input; 0 at its end. */
export function readInput(buffer: usize, capacity: usize): usize {
  store<usize>(readVector, buffer);
  store<usize>(readVector, capacity, 4);
  if (fd_read(FD_STDIN, readVector, 1, readVector + 8) != 0) fail("standard input cannot be read");
  return load<usize>(readVector, 8);
}
