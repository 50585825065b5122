// How a machine of an architecture is emulated, and whether this machine can do it.
import { existsSync } from 'node:fs';
import { execa } from 'execa';
import { rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { ForeignArchitecture } from '../debian/debian.ts';

type System = {
  readonly program: string;
  /** Debian packages of the program and its firmware. */
  readonly packages: string;
  readonly args: readonly string[];
  /** Null: QEMU brings its own. */
  readonly firmware: string | null;
  /** The kernel's name of the serial port. */
  readonly console: string;
};

const OPENSBI = '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin';

/** Processors that have what every ISA feature level asks for. */
export const SYSTEMS: Readonly<Record<ForeignArchitecture, System>> = {
  aarch64: {
    program: 'qemu-system-aarch64',
    packages: 'qemu-system-arm',
    args: ['-M', 'virt', '-cpu', 'neoverse-n1'],
    firmware: null,
    console: 'ttyAMA0',
  },
  riscv64: {
    program: 'qemu-system-riscv64',
    packages: 'qemu-system-misc opensbi',
    args: ['-M', 'virt', '-cpu', 'rv64,v=true,vlen=128', '-bios', OPENSBI],
    firmware: OPENSBI,
    console: 'ttyS0',
  },
};

/** Null: everything is here. WM_TARGET_TOOLS. */
export async function missingSystem(architecture: ForeignArchitecture): Promise<Outcome<never> | null> {
  const { program, packages, firmware } = SYSTEMS[architecture];
  const missing = !(await runs(program)) ? program : firmware !== null && !existsSync(firmware) ? firmware : null;
  if (missing === null) return null;
  return rejected('WM_TARGET_TOOLS', {
    message: `Machines of ${architecture} are emulated with ${missing}, which is not here.`,
    next: `Install it: apt-get install --no-install-recommends ${packages}.`,
  });
}

async function runs(program: string): Promise<boolean> {
  try {
    await execa(program, ['--version'], { stdin: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
