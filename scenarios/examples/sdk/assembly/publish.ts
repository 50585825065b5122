import { Bytes } from "./bytes";
import { host_publish } from "./host";

/**
 * Publishes an event of its own: 0, or one of the ERROR_ constants. A guest that is run again for the same event publishes
 * again, so a payload should name the event that caused it.
 */
export function publish(subject: string, payload: Bytes): i32 {
  const request = new Bytes(<usize>subject.length + payload.length + 1);
  request.text(subject).byte(0x0a).bytes(payload);
  const result = host_publish(request.start, request.length);
  return result < 0 ? result : 0;
}
