// Versions of one module for a scenario: other bytes, the same behaviour. The number stands in a custom section at the end.

const SECTION_NAME = 'wasmmatrix.variant';
const CUSTOM_SECTION = 0;

const encoder = new TextEncoder();

/** Unsigned LEB128. */
function encodeLength(value: number): readonly number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}

export function withVariant(module: Uint8Array, variant: number): Uint8Array {
  const name = encoder.encode(SECTION_NAME);
  const content = [...encodeLength(name.length), ...name, ...encoder.encode(String(variant))];
  const section = [CUSTOM_SECTION, ...encodeLength(content.length), ...content];
  const bytes = new Uint8Array(module.length + section.length);
  bytes.set(module);
  bytes.set(section, module.length);
  return bytes;
}
