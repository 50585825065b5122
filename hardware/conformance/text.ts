// Builders of modules in WebAssembly's text format. Operands come from memory, so that no compiler computes a result beforehand; results
// go to standard output as bytes.

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export const BYTES: Readonly<Record<ValueType, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

/** Where operands lie, 16 bytes each. */
const OPERANDS_AT = 32_768;
/** Where results are put together. */
const RESULTS_AT = 1_024;

/** A module whose exports write what they compute. `body` holds functions; `$out` writes so many bytes of the results. */
export function moduleText(
  body: string,
  { operands = '', imports = '' }: { readonly operands?: string; readonly imports?: string } = {},
): string {
  return `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  ${imports}
  (memory (export "memory") 2)
  (data (i32.const ${OPERANDS_AT}) "${operands}")
  (func $out (param $bytes i32)
    (i32.store (i32.const 0) (i32.const ${RESULTS_AT}))
    (i32.store (i32.const 4) (local.get $bytes))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  ${body}
)`;
}

/** An operand by its place. */
export function operand(type: ValueType, place: number): string {
  return `(${type}.load offset=${OPERANDS_AT + place * 16} (i32.const 0))`;
}

/** An export that writes the values of these expressions, one after the other. */
export function writer(entry: string, values: readonly { readonly type: ValueType; readonly text: string }[]): string {
  let at = RESULTS_AT;
  const stores = values.map(({ type, text }) => {
    const store = `(${type}.store (i32.const ${at}) ${text})`;
    at += BYTES[type];
    return store;
  });
  return `(func (export "${entry}") ${stores.join(' ')} (call $out (i32.const ${at - RESULTS_AT})))`;
}

/** Bytes as the text of a data segment, each operand 16 bytes long. */
export function operandText(operands: readonly (readonly number[])[]): string {
  return operands
    .map((bytes) => Array.from({ length: 16 }, (_, i) => `\\${(bytes[i] ?? 0).toString(16).padStart(2, '0')}`).join(''))
    .join('');
}

/** Little endian. */
export function bytesOf(bits: bigint, bytes: number): readonly number[] {
  return Array.from({ length: bytes }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn));
}
