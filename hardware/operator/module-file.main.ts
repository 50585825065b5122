// What `push` reads: a module, and the manifest beside it. A composition root.
import { readFileSync } from 'node:fs';
import { Source } from '../../scenarios/mistakes.ts';
import type { ModuleManifest } from '../../system/domain/module.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { whyOf } from '../../system/domain/why.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';

const WASM_MAGIC = [0x00, 0x61, 0x73, 0x6d] as const;
/** Bound: a module travels as one message, with some room for what is said of it. */
const MODULE_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1_024;

export type Declared = {
  readonly name: string | null;
  readonly capabilities: readonly string[];
  readonly limits: Partial<ModuleManifest['limits']>;
};

/** `module.yaml`: the fields that examples have too. */
export function readModuleManifest(file: string): Outcome<Declared> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return rejected('WM_ARGUMENT', {
      message: `The manifest ${file} cannot be read (${whyOf(error)}).`,
      next: 'Name a file that you may read.',
    });
  }
  const source = new Source(file, text, {
    code: 'WM_MODULE_INVALID',
    next: 'Correct the manifest; docs/reference/guest-abi.md describes it.',
  });
  if (source.faulty) return source.error();
  const value = source.value();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    source.mistake([], 'expected name, capabilities and limits');
    return source.error();
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const field of Object.keys(fields))
    if (!['name', 'description', 'capabilities', 'limits'].includes(field))
      source.mistake([field], `unknown field '${field}'; expected name, description, capabilities or limits`, 'key');
  const { name, capabilities = [], limits = {} } = fields;
  if (name !== undefined && typeof name !== 'string') source.mistake(['name'], 'expected a text');
  if (!Array.isArray(capabilities)) source.mistake(['capabilities'], 'expected a list');
  const given =
    typeof limits === 'object' && limits !== null && !Array.isArray(limits) ? (limits as Readonly<Record<string, unknown>>) : null;
  if (given === null) source.mistake(['limits'], 'expected fuelMax, memoryBytesMax and outputBytesMax');
  for (const [limit, bound] of Object.entries(given ?? {})) {
    if (!['fuelMax', 'memoryBytesMax', 'outputBytesMax'].includes(limit))
      source.mistake(['limits', limit], `unknown limit '${limit}'; expected fuelMax, memoryBytesMax or outputBytesMax`, 'key');
    else if (!Number.isSafeInteger(bound) || Number(bound) < 1)
      source.mistake(['limits', limit], `found ${JSON.stringify(bound)}, expected a whole number of 1 or more`);
  }
  if (source.faulty) return source.error();
  return ok({
    name: typeof name === 'string' ? name : null,
    capabilities: (capabilities as readonly unknown[]).map(String),
    limits: given as Declared['limits'],
  });
}

/** What can be said of a module before it is sent. */
export function checkModule(file: string, bytes: Uint8Array): Outcome<void> {
  if (!WASM_MAGIC.every((byte, i) => bytes[i] === byte))
    return rejected('WM_MODULE_INVALID', {
      message: `${file} is no WebAssembly module: it does not begin with the four bytes \\0asm.`,
      next: 'Name the .wasm file that your compiler made.',
    });
  if (bytes.length <= MODULE_BYTES_MAX) return ok();
  return rejected('WM_MESSAGE_TOO_LARGE', {
    message: `The module ${file} has ${bytes.length} bytes; one may have ${MODULE_BYTES_MAX}.`,
    next: 'Build it without debugging information and optimised for size (such as `wasm-opt -Oz --strip-debug`).',
  });
}
