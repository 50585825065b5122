/** Environment variables: the host sets `WM_*` and nothing else. */
import { Bytes } from "./bytes";
import { environ_get, environ_sizes_get } from "./wasi";

/** The value of a variable, empty where it is absent or the environment cannot be read. */
export function environment(name: string): Bytes {
  const value = new Bytes(0);
  const sizes = new Bytes(8);
  if (environ_sizes_get(sizes.start, sizes.start + 4) != 0) return value;
  const count = load<usize>(sizes.start);
  const pointers = new Bytes(count * 4 + load<usize>(sizes.start, 4));
  if (environ_get(pointers.start, pointers.start + count * 4) != 0) return value;
  for (let index: usize = 0; index < count; index += 1) {
    const variable = load<usize>(pointers.start + index * 4);
    if (!isNamed(variable, name)) continue;
    value.start = variable + <usize>name.length + 1;
    while (load<u8>(value.end) != 0) value.length += 1;
    return value;
  }
  return value;
}

/** Whether `NAME=value` has this name. Stops at the first difference, so it never reads past the closing zero. */
function isNamed(variable: usize, name: string): bool {
  const length = name.length;
  for (let at = 0; at < length; at += 1) {
    if (load<u8>(variable + at) != <u8>name.charCodeAt(at)) return false;
  }
  return load<u8>(variable + length) == 0x3d;
}
