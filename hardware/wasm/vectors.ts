// Whether a WebAssembly module uses 128-bit vectors. On riscv64 they need the extension `v`, and a compiler that is asked for them
// without it gives up in a way that says nothing; so that is asked before. Reads a module that the engine has validated.
// Surprising: what this reader does not know is not a fault of the module. It answers 'unknown' then, and the caller decides.

export type VectorUse = 'none' | 'some' | 'unknown';

const HEADER_BYTES = 8;
const SECTION = { type: 1, import: 2, global: 6, code: 10 } as const;
const VECTOR_TYPE = 0x7b;
const PLAIN_FUNCTION = 0x60;
/** Types that are one byte and no vectors: numbers, references to functions and to things of the host. */
const PLAIN_TYPES: readonly number[] = [0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f];
const BLOCK_WITHOUT_RESULT = 0x40;
const VECTOR_PREFIX = 0xfd;
const MISCELLANEOUS_PREFIX = 0xfc;
/** Numbers that follow each instruction of the miscellaneous prefix: conversions 0 to 7, then memories and tables. */
const MISCELLANEOUS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];
const CONTINUES = 0x80;
const MEMORY_IS_NAMED = 0x40;

class Found extends Error {
  readonly use: VectorUse;

  constructor(use: VectorUse) {
    super(use);
    this.use = use;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new Found('unknown');
    return byte;
  }

  /** Unsigned, as far as a number is exact: only lengths and counts are used. */
  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= CONTINUES) {
      const byte = this.byte();
      value += (byte % CONTINUES) * scale;
      if (byte < CONTINUES) return value;
    }
  }

  skipNumbers(count: number): void {
    for (let i = 0; i < count; i++) while (this.byte() >= CONTINUES);
  }

  skip(bytes: number): void {
    this.at += bytes;
  }

  type(): void {
    const type = this.byte();
    if (type === VECTOR_TYPE) throw new Found('some');
    if (!PLAIN_TYPES.includes(type)) throw new Found('unknown');
  }

  types(): void {
    for (let count = this.number(); count > 0; count--) this.type();
  }

  /** No result, one of a type, or the number of a type, whose parts were seen where types are. */
  blockType(): void {
    const first = this.#bytes[this.at] ?? BLOCK_WITHOUT_RESULT;
    const isIndex = first >= CONTINUES || first < BLOCK_WITHOUT_RESULT;
    if (isIndex) this.skipNumbers(1);
    else if (first === BLOCK_WITHOUT_RESULT) this.skip(1);
    else this.type();
  }

  memoryArgument(): void {
    const alignment = this.number();
    this.skipNumbers(alignment >= MEMORY_IS_NAMED ? 2 : 1);
  }
}

export function vectorUse(wasm: Uint8Array): VectorUse {
  try {
    readSections(new Reader(wasm, HEADER_BYTES));
    return 'none';
  } catch (error) {
    if (error instanceof Found) return error.use;
    throw error;
  }
}

function readSections(reader: Reader): void {
  while (!reader.isAtEnd) {
    const section = reader.byte();
    const size = reader.number();
    const end = reader.at + size;
    if (section === SECTION.type) repeat(reader, readType);
    else if (section === SECTION.import) repeat(reader, readImport);
    else if (section === SECTION.global) repeat(reader, readGlobal);
    else if (section === SECTION.code) repeat(reader, readFunction);
    reader.at = end;
  }
}

function repeat(reader: Reader, read: (reader: Reader) => void): void {
  for (let count = reader.number(); count > 0; count--) read(reader);
}

function readType(reader: Reader): void {
  if (reader.byte() !== PLAIN_FUNCTION) throw new Found('unknown');
  reader.types();
  reader.types();
}

function readImport(reader: Reader): void {
  for (let name = 0; name < 2; name++) reader.skip(reader.number());
  // Guests are given functions only; the engine refuses the rest.
  if (reader.byte() !== 0) throw new Found('unknown');
  reader.skipNumbers(1);
}

function readGlobal(reader: Reader): void {
  reader.type();
  reader.skip(1);
  readInstructions(reader);
}

function readFunction(reader: Reader): void {
  const size = reader.number();
  const end = reader.at + size;
  for (let groups = reader.number(); groups > 0; groups--) {
    reader.skipNumbers(1);
    reader.type();
  }
  readInstructions(reader);
  reader.at = end;
}

/** Up to the end of the outermost block. */
function readInstructions(reader: Reader): void {
  for (let depth = 1; depth > 0;) {
    const code = reader.byte();
    if (code >= 0x02 && code <= 0x04) {
      depth += 1;
      reader.blockType();
    } else if (code === 0x0b) depth -= 1;
    else readImmediates(reader, code);
  }
}

/** What stands after the instruction `code`. */
function readImmediates(reader: Reader, code: number): void {
  // Those that have nothing: unreachable, nop, else, return, drop, select; arithmetic and comparisons; ref.is_null.
  if (code <= 0x01 || code === 0x05 || code === 0x0f || code === 0x1a || code === 0x1b || code === 0xd1) return;
  if (code >= 0x45 && code <= 0xc4) return;
  if (code >= 0x28 && code <= 0x3e) return reader.memoryArgument();
  switch (code) {
    // Branches, calls, locals, globals, tables, memory.size and memory.grow, constants of whole numbers, references.
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x12:
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x24:
    case 0x25:
    case 0x26:
    case 0x3f:
    case 0x40:
    case 0x41:
    case 0x42:
    case 0xd0:
    case 0xd2:
      return reader.skipNumbers(1);
    case 0x11:
    case 0x13:
      return reader.skipNumbers(2);
    case 0x0e:
      return reader.skipNumbers(reader.number() + 1);
    case 0x1c:
      return reader.types();
    case 0x43:
      return reader.skip(4);
    case 0x44:
      return reader.skip(8);
    case MISCELLANEOUS_PREFIX: {
      const numbers = MISCELLANEOUS[reader.number()];
      if (numbers === undefined) throw new Found('unknown');
      return reader.skipNumbers(numbers);
    }
    case VECTOR_PREFIX:
      throw new Found('some');
    default:
      throw new Found('unknown');
  }
}
