// What is said to the first program of an emulated machine, past its network: to end its agent in order, to fill its disk, to free it, to set
// its clock.
// One order at a time, each a line, each answered by a line when it is done. The port is a socket of this machine; nobody in the
// machine but that program has its other end.
import { connect, type Socket } from 'node:net';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';

/** Name of the port inside. */
export const ORDERS_PORT = 'orders';

/** Setting of a machine that is to run a command instead of an agent. */
export const TASK_VARIABLE = 'MACHINE_TASK';

/**
 * `end`: the agent stops in order, then the machine switches itself off. `fill`: no byte more fits on its disk. `free`: it has room again.
 * `date`: its civil time is so many seconds. `rate`: the microseconds that a tick of its clock counts (10,000), and its frequency, 65,536 for each ppm.
 */
export type MachineOrder = 'end' | 'fill' | 'free' | `date ${number}` | `rate ${number} ${number}`;

/** How wrong a clock is: civil time by so much, and all that it measures by so many parts per million. */
export type MachineClock = { readonly byMicros: number; readonly ppm: number };

export const RIGHT: MachineClock = { byMicros: 0, ppm: 0 };
/** Of a tick, which is as far as Linux lets it be set. */
export const PPM_MAX = 100_000;
const TICK_MICROS = 10_000;
const PPM_PER_TICK_MICRO = 100;
const FREQUENCY_PER_PPM = 65_536;

/** A clock that measures so many parts per million too much: in steps of the tick, and the rest by its frequency. */
export function rateOrder(ppm: number): MachineOrder {
  const steps = Math.trunc(ppm / PPM_PER_TICK_MICRO);
  return `rate ${TICK_MICROS + steps} ${Math.round((ppm - steps * PPM_PER_TICK_MICRO) * FREQUENCY_PER_PPM)}`;
}

/** Bound: how long the machine may take to do it; an agent that ends finishes what it runs. */
const DONE_MS_MAX = 60_000;

/** WM_MACHINE: it has ended, or did not do it in its time. */
export async function orderAt(path: string, order: MachineOrder): Promise<Outcome<void>> {
  const socket = connect(path);
  const answer = await answerOf(socket, order);
  socket.destroy();
  if (answer === `${order.split(' ')[0]} done`) return ok();
  return failed('WM_MACHINE', {
    message: `The machine did not ${order} as it was ordered at ${path}: ${answer ?? 'it did not answer'}.`,
    next: 'Look at its console; it may have ended.',
  });
}

/** Null: none came. */
function answerOf(socket: Socket, order: MachineOrder): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const late = setTimeout(() => resolve(null), DONE_MS_MAX);
    const settle = (line: string | null): void => {
      clearTimeout(late);
      resolve(line);
    };
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${order}\n`));
    socket.on('data', (more: string) => {
      text += more;
      const end = text.indexOf('\n');
      if (end >= 0) settle(text.slice(0, end));
    });
    socket.on('error', ({ message }) => settle(message));
    socket.on('close', () => settle(null));
  });
}

/**
 * The other end, for the machine's first program, in the words of busybox. Needs `$B`; writes `/ending` when the machine is to end, and
 * reads the agent's process from `/agent.pid`. A port nobody listens at reads as its end.
 */
export const ORDERS_SERVED = `serve_orders() {
  exec 3<>/newroot/dev/${ORDERS_PORT}
  while :; do
    while read -r order rest <&3; do
      case $order in
      end)
        : >/ending
        echo "$order done" >&3
        [ -f /agent.pid ] && $B kill -TERM $($B cat /agent.pid) && continue
        $B sync
        $B poweroff -f
        ;;
      fill)
        $B fallocate -l $($B df -k /newroot/data | $B awk 'END { print $(NF-2) * 1024 }') /newroot/data/.filler
        for bytes in 65536 4096; do $B dd if=/dev/zero bs=$bytes 2>/dev/null >>/newroot/data/.filler; done
        $B sync
        ;;
      free)
        $B rm -f /newroot/data/.filler
        $B sync
        ;;
      date) $B date -u -s "@$rest" >/dev/null || order="$order not" ;;
      rate) $B adjtimex -t \${rest% *} -f \${rest#* } >/dev/null || order="$order not" ;;
      *) continue ;;
      esac
      echo "$order done" >&3
    done
    $B sleep 1
  done
}
`;
