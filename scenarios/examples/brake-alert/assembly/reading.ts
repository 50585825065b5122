/**
 * A sensor's reading, `{"v": m/s, "a": m/s², "id": …}`, by a parser for exactly this: one object, the three members in any
 * order, others skipped. Keeps where each value stands in the text, so that it can be repeated as it was written.
 */
import { Bytes, spanEquals } from "../../sdk/assembly/bytes";

/** Bound: deeper nesting in a member that is skipped makes the reading invalid. */
const DEPTH_MAX: i32 = 16;
/** Bound: larger powers of ten are outside a double anyway. */
const EXPONENT_MAX: i32 = 400;
/** One more digit would no longer fit a 64-bit mantissa; what follows changes nothing that matters. */
const MANTISSA_MAX: u64 = 100_000_000_000_000_000;

export class Reading {
  isValid: bool = false;
  speedMps: f64 = NaN;
  accelerationMps2: f64 = NaN;
  speedText: Bytes = new Bytes(0);
  accelerationText: Bytes = new Bytes(0);
  idText: Bytes = new Bytes(0);
}

export function parseReading(data: Bytes): Reading {
  const reading = new Reading();
  const parser = new Parser(data.start, data.end);
  reading.isValid =
    parser.object(reading) &&
    parser.isAtEnd() &&
    reading.speedText.length > 0 &&
    reading.accelerationText.length > 0;
  return reading;
}

class Parser {
  private at: usize;
  private end: usize;
  /** The value of the number that was read last. */
  private number: f64 = 0;

  constructor(start: usize, end: usize) {
    this.at = start;
    this.end = end;
  }

  isAtEnd(): bool {
    this.skipSpace();
    return this.at == this.end;
  }

  object(reading: Reading): bool {
    if (!this.symbol(0x7b)) return false;
    if (this.symbol(0x7d)) return true;
    do {
      this.skipSpace();
      const key = this.at;
      if (!this.string()) return false;
      const keyLength = this.at - key;
      if (!this.symbol(0x3a)) return false;
      this.skipSpace();
      if (spanEquals(key, keyLength, '"v"')) {
        if (!this.numberInto(reading.speedText)) return false;
        reading.speedMps = this.number;
      } else if (spanEquals(key, keyLength, '"a"')) {
        if (!this.numberInto(reading.accelerationText)) return false;
        reading.accelerationMps2 = this.number;
      } else {
        const value = this.at;
        if (!this.value(0)) return false;
        if (spanEquals(key, keyLength, '"id"')) {
          reading.idText.start = value;
          reading.idText.length = this.at - value;
        }
      }
    } while (this.symbol(0x2c));
    return this.symbol(0x7d);
  }

  private value(depth: i32): bool {
    this.skipSpace();
    const first = this.peek();
    if (first == 0x22) return this.string();
    if (first == 0x7b || first == 0x5b) return depth < DEPTH_MAX && this.members(first == 0x7b, depth + 1);
    if (first == 0x74) return this.word("true");
    if (first == 0x66) return this.word("false");
    if (first == 0x6e) return this.word("null");
    return this.numeral();
  }

  private members(isObject: bool, depth: i32): bool {
    const close: u8 = isObject ? 0x7d : 0x5d;
    this.at += 1;
    if (this.symbol(close)) return true;
    do {
      if (isObject) {
        this.skipSpace();
        if (!this.string() || !this.symbol(0x3a)) return false;
      }
      if (!this.value(depth)) return false;
    } while (this.symbol(0x2c));
    return this.symbol(close);
  }

  private numberInto(text: Bytes): bool {
    text.start = this.at;
    if (!this.numeral()) return false;
    text.length = this.at - text.start;
    return true;
  }

  private numeral(): bool {
    const isNegative = this.accept(0x2d);
    let mantissa: u64 = 0;
    let exponent: i32 = 0;
    const leading = this.peek();
    let digits: i32 = 0;
    for (; isDigit(this.peek()); digits += 1, this.at += 1) {
      if (mantissa < MANTISSA_MAX) mantissa = mantissa * 10 + (this.peek() - 0x30);
      else exponent += 1;
    }
    if (digits == 0 || (digits > 1 && leading == 0x30)) return false;
    if (this.accept(0x2e)) {
      if (!isDigit(this.peek())) return false;
      for (; isDigit(this.peek()); this.at += 1) {
        if (mantissa >= MANTISSA_MAX) continue;
        mantissa = mantissa * 10 + (this.peek() - 0x30);
        exponent -= 1;
      }
    }
    if ((this.peek() | 0x20) == 0x65) {
      this.at += 1;
      const isSmall = this.accept(0x2d);
      if (!isSmall) this.accept(0x2b);
      if (!isDigit(this.peek())) return false;
      let written: i32 = 0;
      for (; isDigit(this.peek()); this.at += 1) {
        if (written < EXPONENT_MAX) written = written * 10 + (this.peek() - 0x30);
      }
      exponent += isSmall ? -written : written;
    }
    // Determinism: powers of ten up to 22 are exact doubles, so numbers as sensors write them are rounded once.
    let power: f64 = 1;
    for (let left = min(exponent < 0 ? -exponent : exponent, EXPONENT_MAX); left > 0; left -= 1) power *= 10;
    const magnitude = mantissa == 0 ? 0 : exponent < 0 ? <f64>mantissa / power : <f64>mantissa * power;
    this.number = isNegative ? -magnitude : magnitude;
    return true;
  }

  private string(): bool {
    if (!this.accept(0x22)) return false;
    for (; this.at < this.end; this.at += 1) {
      const unit = load<u8>(this.at);
      if (unit < 0x20) return false;
      if (unit == 0x5c) {
        this.at += 1;
      } else if (unit == 0x22) {
        this.at += 1;
        return true;
      }
    }
    return false;
  }

  private word(word: string): bool {
    const length = <usize>word.length;
    if (this.end - this.at < length || !spanEquals(this.at, length, word)) return false;
    this.at += length;
    return true;
  }

  /** Accepts a symbol after any white space. */
  private symbol(symbol: u8): bool {
    this.skipSpace();
    return this.accept(symbol);
  }

  private accept(symbol: u8): bool {
    if (this.peek() != symbol) return false;
    this.at += 1;
    return true;
  }

  private skipSpace(): void {
    for (;;) {
      const unit = this.peek();
      if (unit != 0x20 && unit != 0x0a && unit != 0x0d && unit != 0x09) return;
      this.at += 1;
    }
  }

  /** The next byte, 0 at the end: no JSON text holds a zero. */
  private peek(): u8 {
    return this.at < this.end ? load<u8>(this.at) : 0;
  }
}

function isDigit(unit: u8): bool {
  return unit >= 0x30 && unit <= 0x39;
}
