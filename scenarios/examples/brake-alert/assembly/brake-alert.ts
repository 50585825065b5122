/**
 * Reads a vehicle's sensor event and raises an alert when it brakes hard. The alert names the event that caused it: an
 * event that is delivered twice raises two alerts with one name. A reading that cannot be understood fails, so that it
 * ends where the platform keeps what nobody could process, and not in silence.
 */
import { Bytes, event, fail, output, publish } from "../../sdk/assembly/sdk";
import { parseReading } from "./reading";

const ALERT_SUBJECT: string = "alerts.brake";
/** Emergency braking on a dry road reaches 8 to 10 m/s², ordinary braking stays below 4. */
const HARD_BRAKE_MPS2: f64 = 6;

const cause = event();
const reading = parseReading(cause.readData());
if (!reading.isValid) fail('the reading is not {"v": number, "a": number, "id": …}');

const isHard = reading.accelerationMps2 < -HARD_BRAKE_MPS2;
const members = new Bytes(256);
members.text(',"id":');
if (reading.idText.length > 0) members.bytes(reading.idText);
else members.text("null");
members.text(',"v":').bytes(reading.speedText).text(',"a":').bytes(reading.accelerationText).byte(0x7d);

if (isHard) {
  const alert = new Bytes(256).text('{"event":').json(cause.id).bytes(members);
  if (publish(ALERT_SUBJECT, alert) != 0) fail("the alert was not accepted");
}
output(new Bytes(256).text(isHard ? '{"alert":true' : '{"alert":false').bytes(members));
