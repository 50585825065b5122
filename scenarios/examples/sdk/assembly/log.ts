import { Bytes } from "./bytes";
import { host_log } from "./host";

/** A structured log record of the instance; lines on standard error are logged too. 0, or one of the ERROR_ constants. */
export function log(message: string): i32 {
  const request = Bytes.of(message);
  const result = host_log(request.start, request.length);
  return result < 0 ? result : 0;
}
