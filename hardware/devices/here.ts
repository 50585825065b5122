// What tells one machine from another, whatever it is called: this boot of its kernel, and who sees which processes of it.
import { readFileSync, readlinkSync } from 'node:fs';

/** Empty where the system does not say. */
export function machineHere(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}
