/**
 * What a guest in AssemblyScript needs of WasmMatrix when it is a component (docs/reference/guest-abi.md, Components): the functions of
 * WASI 0.2, wasi:keyvalue, wasi:messaging and wasi:logging that scenarios/examples/component.ts imports for it. A component exports `run`
 * and the `realloc` of this file; nothing may call the host before `run` does.
 */
import { Bytes } from "./bytes";

/** Bound: a larger event fails the guest instead of filling its memory. */
const EVENT_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: u64 = 65536;
/** What one write to a stream takes. */
const WRITE_BYTES_MAX: usize = 4096;

export const LEVEL_INFO: i32 = 2;
export const LEVEL_WARN: i32 = 3;

// @ts-ignore: decorator
@external("wasi:cli/stdin@0.2.0", "get-stdin")
declare function getStdin(): i32;

// @ts-ignore: decorator
@external("wasi:cli/stdout@0.2.0", "get-stdout")
declare function getStdout(): i32;

// @ts-ignore: decorator
@external("wasi:io/streams@0.2.0", "[method]input-stream.blocking-read")
declare function blockingRead(stream: i32, length: u64, result: usize): void;

// @ts-ignore: decorator
@external("wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush")
declare function blockingWrite(stream: i32, start: usize, length: usize, result: usize): void;

// @ts-ignore: decorator
@external("wasi:keyvalue/store@0.2.0-draft2", "open")
declare function openBucket(name: usize, length: usize, result: usize): void;

// @ts-ignore: decorator
@external("wasi:keyvalue/atomics@0.2.0-draft2", "[static]cas.new")
declare function casNew(bucket: i32, key: usize, length: usize, result: usize): void;

// @ts-ignore: decorator
@external("wasi:keyvalue/atomics@0.2.0-draft2", "[method]cas.current")
declare function casCurrent(cas: i32, result: usize): void;

// @ts-ignore: decorator
@external("wasi:keyvalue/atomics@0.2.0-draft2", "swap")
declare function casSwap(cas: i32, value: usize, length: usize, result: usize): void;

// @ts-ignore: decorator
@external("wasi:messaging/types@0.2.0-draft", "[static]client.connect")
declare function connect(name: usize, length: usize, result: usize): void;

// @ts-ignore: decorator
@external("wasi:messaging/types@0.2.0-draft", "[constructor]message")
declare function newMessage(data: usize, length: usize): i32;

// @ts-ignore: decorator
@external("wasi:messaging/producer@0.2.0-draft", "send")
declare function sendMessage(client: i32, topic: usize, topicLength: usize, message: i32, result: usize): void;

// @ts-ignore: decorator
@external("wasi:logging/logging@0.1.0-draft", "log")
declare function logLine(level: i32, context: usize, contextLength: usize, message: usize, length: usize): void;

/** Where calls leave their results; the largest is 20 bytes. */
const result = memory.data(32, 8);

/** For what the host hands over. Memory is never given back: a guest lives for one event. */
export function realloc(old: usize, oldBytes: usize, align: usize, bytes: usize): usize {
  const start = heap.alloc(bytes > 0 ? bytes : align);
  memory.copy(start, old, oldBytes);
  return start;
}

/** Standard input to its end; null when there is more than this guest reads. */
export function readEvent(): Bytes | null {
  const stream = getStdin();
  const data = new Bytes();
  while (data.length <= EVENT_BYTES_MAX) {
    blockingRead(stream, READ_BYTES, result);
    if (load<u8>(result) != 0) return data;
    data.span(load<usize>(result, 4), load<usize>(result, 8));
  }
  return null;
}

/** Adds to the result. */
export function write(bytes: Bytes): bool {
  const stream = getStdout();
  for (let start = bytes.start; start < bytes.end; start += WRITE_BYTES_MAX) {
    const rest = bytes.end - start;
    blockingWrite(stream, start, rest < WRITE_BYTES_MAX ? rest : WRITE_BYTES_MAX, result);
    if (load<u8>(result) != 0) return false;
  }
  return true;
}

/** A key as it was read. Whoever swaps it writes only if nobody else did since. */
export class Cas {
  constructor(private handle: i32) {}

  /** Of a bucket's key; null when it may not or cannot be read. */
  static of(bucket: Bytes, key: Bytes): Cas | null {
    openBucket(bucket.start, bucket.length, result);
    if (load<u8>(result) != 0) return null;
    casNew(load<i32>(result, 4), key.start, key.length, result);
    return load<u8>(result) != 0 ? null : new Cas(load<i32>(result, 4));
  }

  /** Empty where there is no such key. */
  current(): Bytes {
    casCurrent(this.handle, result);
    const value = new Bytes();
    if (load<u8>(result) == 0 && load<u8>(result, 4) != 0) value.span(load<usize>(result, 8), load<usize>(result, 12));
    return value;
  }

  /** True: written. Null handle and false: it cannot be known. Otherwise this has become the key as it is now. */
  swap(value: Bytes): bool {
    casSwap(this.handle, value.start, value.length, result);
    if (load<u8>(result) == 0) return true;
    this.handle = load<u8>(result, 4) == 1 ? load<i32>(result, 8) : 0;
    return false;
  }

  /** Another was faster: to be tried again. */
  get isStale(): bool {
    return this.handle != 0;
  }
}

export function publish(subject: Bytes, data: Bytes): bool {
  connect(0, 0, result);
  if (load<u8>(result) != 0) return false;
  sendMessage(load<i32>(result, 4), subject.start, subject.length, newMessage(data.start, data.length), result);
  return load<u8>(result) == 0;
}

export function log(level: i32, context: Bytes, message: Bytes): void {
  logLine(level, context.start, context.length, message.start, message.length);
}
