// Bytes of WebAssembly's binary formats: numbers, names, vectors, and the two small core modules that a component needs around another.

const encoder = new TextEncoder();

/** Grows; each call gives it back. */
export class Bytes {
  readonly #parts: number[] = [];

  get length(): number {
    return this.#parts.length;
  }

  byte(...values: readonly number[]): this {
    for (const value of values) this.#parts.push(value);
    return this;
  }

  raw(bytes: Iterable<number>): this {
    for (const value of bytes) this.#parts.push(value);
    return this;
  }

  bytes(other: Bytes): this {
    return this.raw(other.#parts);
  }

  /** Unsigned LEB128. */
  number(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.#parts.push((rest & 0x7f) | 0x80);
    this.#parts.push(rest);
    return this;
  }

  /** Signed LEB128 of a number that is not below 0. */
  signed(value: number): this {
    let rest = value;
    for (; rest >= 0x40; rest >>>= 7) this.#parts.push((rest & 0x7f) | 0x80);
    this.#parts.push(rest);
    return this;
  }

  text(text: string): this {
    const bytes = encoder.encode(text);
    return this.number(bytes.length).raw(bytes);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

export function vector(items: readonly Bytes[]): Bytes {
  const bytes = new Bytes().number(items.length);
  for (const item of items) bytes.bytes(item);
  return bytes;
}

/** A name of an import or export of a component. */
export function name(text: string): Bytes {
  return new Bytes().byte(0x00).text(text);
}

/** Parameters and results, `i` for i32 and `l` for i64. */
type Signature = readonly [parameters: string, results: string];

const MODULE = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

function section(id: number, items: readonly Bytes[]): Bytes {
  const contents = vector(items);
  return new Bytes().byte(id).number(contents.length).bytes(contents);
}

function values(letters: string): Bytes {
  return vector(Array.from(letters, (letter) => new Bytes().byte(letter === 'l' ? 0x7e : 0x7f)));
}

const typeOf = ([parameters, results]: Signature): Bytes => new Bytes().byte(0x60).bytes(values(parameters)).bytes(values(results));

/** Functions that call what a table holds, each under its number, and the table itself. */
function table(signatures: readonly Signature[]): Uint8Array {
  const count = signatures.length;
  const bodies = signatures.map(([parameters], i) => {
    const body = new Bytes().byte(0x00);
    for (let local = 0; local < parameters.length; local++) body.byte(0x20).number(local);
    body.byte(0x41).signed(i).byte(0x11).number(i).byte(0x00, 0x0b);
    return new Bytes().number(body.length).bytes(body);
  });
  const exports = signatures.map((_, i) => new Bytes().text(String(i)).byte(0x00).number(i));
  return new Bytes()
    .byte(...MODULE)
    .bytes(section(1, signatures.map(typeOf)))
    .bytes(
      section(
        3,
        signatures.map((_, i) => new Bytes().number(i)),
      ),
    )
    .bytes(section(4, [new Bytes().byte(0x70, 0x01).number(count).number(count)]))
    .bytes(section(7, [...exports, new Bytes().text('table').byte(0x01, 0x00)]))
    .bytes(section(10, bodies))
    .finish();
}

/** Puts the functions that it imports, under their numbers, into the table. */
function filling(signatures: readonly Signature[]): Uint8Array {
  const count = signatures.length;
  const imports = signatures.map((_, i) => new Bytes().text('').text(String(i)).byte(0x00).number(i));
  const places = vector(signatures.map((_, i) => new Bytes().number(i)));
  return new Bytes()
    .byte(...MODULE)
    .bytes(section(1, signatures.map(typeOf)))
    .bytes(section(2, [...imports, new Bytes().text('').text('table').byte(0x01, 0x70, 0x01).number(count).number(count)]))
    .bytes(section(9, [new Bytes().byte(0x00, 0x41, 0x00, 0x0b).bytes(places)]))
    .finish();
}

export const core = { table, filling };
