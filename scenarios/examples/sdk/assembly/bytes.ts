/**
 * A growing run of bytes, and the only buffer the examples use: guests handle UTF-8 as it comes, because AssemblyScript's
 * own strings are UTF-16 and every conversion costs fuel. Memory is never given back: a guest lives for one event.
 */
export class Bytes {
  start: usize;
  length: usize = 0;
  private capacity: usize;

  constructor(capacity: usize = 64) {
    this.start = heap.alloc(capacity);
    this.capacity = capacity;
  }

  static of(text: string): Bytes {
    return new Bytes(<usize>text.length).text(text);
  }

  get end(): usize {
    return this.start + this.length;
  }

  /** Makes room for so many more bytes after `end`. */
  reserve(bytes: usize): void {
    const needed = this.length + bytes;
    if (needed <= this.capacity) return;
    const doubled = this.capacity * 2;
    this.capacity = needed > doubled ? needed : doubled;
    this.start = heap.realloc(this.start, this.capacity);
  }

  text(text: string): Bytes {
    const units = text.length;
    this.reserve(<usize>units * 3);
    this.length += String.UTF8.encodeUnsafe(changetype<usize>(text), units, this.end);
    return this;
  }

  span(start: usize, length: usize): Bytes {
    this.reserve(length);
    memory.copy(this.end, start, length);
    this.length += length;
    return this;
  }

  bytes(other: Bytes): Bytes {
    return this.span(other.start, other.length);
  }

  byte(value: u8): Bytes {
    this.reserve(1);
    store<u8>(this.end, value);
    this.length += 1;
    return this;
  }

  decimal(value: i64): Bytes {
    let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
    if (value < 0) this.byte(0x2d);
    let digits: usize = 1;
    for (let limit = rest; limit >= 10; limit /= 10) digits += 1;
    this.reserve(digits);
    for (let at = this.end + digits; at > this.end; rest /= 10) {
      at -= 1;
      store<u8>(at, <u8>(0x30 + (rest % 10)));
    }
    this.length += digits;
    return this;
  }

  /** A JSON string, quoted and escaped. */
  json(value: Bytes): Bytes {
    this.byte(0x22);
    for (let at = value.start; at < value.end; at += 1) {
      const unit = load<u8>(at);
      if (unit == 0x22 || unit == 0x5c) {
        this.byte(0x5c).byte(unit);
      } else if (unit < 0x20) {
        this.text("\\u00").byte(hexDigit(unit >> 4)).byte(hexDigit(unit & 15));
      } else {
        this.byte(unit);
      }
    }
    return this.byte(0x22);
  }

  toString(): string {
    return String.UTF8.decodeUnsafe(this.start, this.length);
  }

  /** Whether the bytes are exactly this ASCII text. */
  equals(text: string): bool {
    return spanEquals(this.start, this.length, text);
  }
}

function hexDigit(value: u8): u8 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Whether a span is exactly this ASCII text. */
export function spanEquals(start: usize, length: usize, text: string): bool {
  if (length != <usize>text.length) return false;
  for (let at: usize = 0; at < length; at += 1) {
    if (load<u8>(start + at) != <u8>load<u16>(changetype<usize>(text) + (at << 1))) return false;
  }
  return true;
}
