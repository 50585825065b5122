// What the pure folders may use beyond the language itself. Determinism: each is a function of its input, or (the
// microtask queue) drained by the kernel between two events. Everything else comes through a port.
// The shapes are the least that we use, so that the same code also compiles beside Node's own types.

interface TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare var TextEncoder: { new (): TextEncoder };

interface TextDecoder {
  decode(input?: Uint8Array): string;
}
declare var TextDecoder: { new (label?: string, options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean }): TextDecoder };

declare function queueMicrotask(callback: () => void): void;
