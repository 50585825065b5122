/**
 * The raw imports of module `wasmmatrix`. Every operation takes a request in the guest's memory and returns the length of
 * its response, or one of the errors below; `take` copies the response of the last operation.
 */
import { Bytes } from "./bytes";

/** No grant covers the operation. */
export const ERROR_DENIED: i32 = -1;
export const ERROR_NOT_FOUND: i32 = -2;
/** The key's version was not the expected one. */
export const ERROR_CONFLICT: i32 = -3;
/** The host could not do it now, and may or may not have done it: let the event be delivered again. */
export const ERROR_UNAVAILABLE: i32 = -4;
export const ERROR_LIMIT_EXCEEDED: i32 = -5;
export const ERROR_INVALID: i32 = -6;

// @ts-ignore: decorator
@external("wasmmatrix", "state_get")
export declare function state_get(request: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasmmatrix", "state_set")
export declare function state_set(request: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasmmatrix", "publish")
export declare function host_publish(request: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasmmatrix", "log")
export declare function host_log(request: usize, bytes: usize): i32;

// @ts-ignore: decorator
@external("wasmmatrix", "take")
declare function take(buffer: usize, capacity: usize): i32;

/** The response of the last operation, whose length the operation returned. */
export function takeResponse(bytes: i32): Bytes {
  const response = new Bytes(<usize>bytes);
  response.length = <usize>take(response.start, <usize>bytes);
  return response;
}
