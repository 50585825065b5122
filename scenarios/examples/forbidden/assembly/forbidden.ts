/**
 * Tries what it may not do, one attempt for each word of its event (all of them for an empty event), and reports in their
 * order what came of it: `[{"attempt":"clock","refused":true,"errno":76}]`. The errno is WASI's, or negative where the
 * attempt goes through the host's own operations.
 */
import { Bytes, ERROR_NOT_FOUND, event, fail, output, publish, stateGet } from "../../sdk/assembly/sdk";
import { clock_time_get, environ_get, environ_sizes_get, path_open, poll_oneoff, random_get } from "../../sdk/assembly/wasi";

const EVERY_ATTEMPT: string = "open clock random env sleep publish state";
const SECRET_PATH: string = "etc/passwd";
const SECRET_SUBJECT: string = "forbidden.subject";
const SECRET_KEY: string = "forbidden-key";
const SLEEP_NANOS: u64 = 1_000_000;

const WASI_NO_ENTRY: i32 = 44;
const FD_FIRST_PREOPENED: i32 = 3;
const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const RIGHT_FD_READ: u64 = 2;
/** The bytes "WM_", little endian. */
const WM_PREFIX: u32 = 0x5f_4d57;

const data = event().readData();
report(data.length == 0 ? Bytes.of(EVERY_ATTEMPT) : data);

function report(words: Bytes): void {
  const result = new Bytes(512).byte(0x5b);
  const word = new Bytes(0);
  let isFirst = true;
  for (let at = words.start; at < words.end; ) {
    if (load<u8>(at) <= 0x20) {
      at += 1;
      continue;
    }
    word.start = at;
    while (at < words.end && load<u8>(at) > 0x20) at += 1;
    word.length = at - word.start;
    const errno = attempt(word);
    // A key that is absent was looked up, and so was not refused.
    const isRefused = errno != 0 && errno != ERROR_NOT_FOUND;
    if (!isFirst) result.byte(0x2c);
    isFirst = false;
    result.text('{"attempt":').json(word);
    result.text(isRefused ? ',"refused":true,"errno":' : ',"refused":false,"errno":').decimal(errno).byte(0x7d);
  }
  output(result.byte(0x5d));
}

function attempt(word: Bytes): i32 {
  const out = new Bytes(64);
  if (word.equals("open")) {
    const path = Bytes.of(SECRET_PATH);
    return path_open(FD_FIRST_PREOPENED, 0, path.start, path.length, 0, RIGHT_FD_READ, 0, 0, out.start);
  }
  if (word.equals("clock")) return clock_time_get(CLOCK_REALTIME, 1, out.start);
  if (word.equals("random")) return random_get(out.start, 8);
  if (word.equals("env")) return readForeignVariable();
  if (word.equals("sleep")) return sleep();
  if (word.equals("publish")) return publish(SECRET_SUBJECT, Bytes.of("x"));
  if (word.equals("state")) return stateGet(SECRET_KEY).error;
  fail("an attempt is one of: open clock random env sleep publish state");
  return 0;
}

/** 0 when the environment holds a variable that does not begin with `WM_`. */
function readForeignVariable(): i32 {
  const sizes = new Bytes(8);
  const refused = environ_sizes_get(sizes.start, sizes.start + 4);
  if (refused != 0) return refused;
  const count = load<usize>(sizes.start);
  const pointers = new Bytes(count * 4 + load<usize>(sizes.start, 4) + 4);
  const errno = environ_get(pointers.start, pointers.start + count * 4);
  if (errno != 0) return errno;
  for (let index: usize = 0; index < count; index += 1) {
    const variable = load<usize>(pointers.start + index * 4);
    // Four bytes at once, of which three are compared: room for them is reserved behind the last variable.
    if ((load<u32>(variable) & 0xff_ffff) != WM_PREFIX) return 0;
  }
  return WASI_NO_ENTRY;
}

/** The errno of the call, or else of the one event that it gave. */
function sleep(): i32 {
  const subscription = new Bytes(48);
  const occurred = new Bytes(40);
  memory.fill(subscription.start, 0, 48);
  memory.fill(occurred.start, 0, 40);
  store<u32>(subscription.start, CLOCK_MONOTONIC, 16);
  store<u64>(subscription.start, SLEEP_NANOS, 24);
  const errno = poll_oneoff(subscription.start, occurred.start, 1, occurred.start + 32);
  return errno != 0 ? errno : <i32>load<u16>(occurred.start, 8);
}
