// Reserves one port from the first to the last that it is given, says it, and has it until it is killed.
import { reservePort } from '../../support/network/reserve.ts';

const [, , first, last] = process.argv;
process.send?.(await reservePort({ first: Number(first), last: Number(last) }));
setInterval(() => {}, 1_000);
