// The part of Node.js's own WebAssembly that these tests use. TypeScript declares it together with the DOM only, whose
// global names tests must not have.

declare const compiled: unique symbol;

/** A compiled module. */
export type GuestModule = { readonly [compiled]: true };
export type GuestMemory = { readonly buffer: ArrayBuffer };
export type GuestInstance = { readonly exports: { readonly memory: GuestMemory } };
type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type Engine = {
  compile(bytes: Uint8Array): Promise<GuestModule>;
  readonly Instance: new (module: GuestModule, imports: Imports) => GuestInstance;
  readonly Module: {
    imports(module: GuestModule): readonly { readonly module: string; readonly name: string }[];
    exports(module: GuestModule): readonly { readonly name: string }[];
  };
  readonly RuntimeError: new () => Error;
};

export const webAssembly = Reflect.get(globalThis, 'WebAssembly') as Engine;
