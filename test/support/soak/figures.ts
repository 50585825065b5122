// What a running process says of itself on its page of metrics, as numbers, and what the kernel says of its memory.
import { readFileSync } from 'node:fs';

/** Memory comes to a JavaScript engine in pieces of this size, and goes when it pleases. */
const ENGINE_PAGE_BYTES = 262_144;

export type Figures = {
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Memory of its own that is not the JavaScript heap: what SQLite, TLS and the WebAssembly engine hold. */
  readonly nativeBytes: number;
  readonly openFiles: number;
  readonly handles: number;
  readonly cpuSeconds: number;
  /** Longest 99 of 100 turns of the event loop since the last look. */
  readonly lagSeconds: number;
  readonly text: string;
};

export async function readFigures(admin: string, pid: number): Promise<Figures> {
  const response = await fetch(`http://${admin}/metrics`);
  const text = await response.text();
  return {
    rssBytes: sampleOf(text, 'process_resident_memory_bytes'),
    heapBytes: sampleOf(text, 'nodejs_heap_size_used_bytes'),
    nativeBytes: nativeBytesOf(readFileSync(`/proc/${pid}/smaps`, 'utf8')),
    openFiles: sampleOf(text, 'process_open_fds'),
    handles: sampleOf(text, 'nodejs_active_handles_total'),
    cpuSeconds: sampleOf(text, 'process_cpu_seconds_total'),
    lagSeconds: sampleOf(text, 'nodejs_eventloop_lag_p99_seconds'),
    text,
  };
}

/** From `/proc/<pid>/smaps`: what is resident of mappings without a file that are no page of the JavaScript engine. */
export function nativeBytesOf(smaps: string): number {
  let sum = 0;
  let counts = false;
  for (const line of smaps.split('\n')) {
    const mapping = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/.exec(line);
    if (mapping !== null) {
      const [, from = '', to = '', name = ''] = mapping;
      counts = name === '[heap]' || (name === '' && Number.parseInt(to, 16) - Number.parseInt(from, 16) !== ENGINE_PAGE_BYTES);
    } else if (counts) sum += Number(/^Rss: +(\d+) kB$/.exec(line)?.[1] ?? 0) * 1_024;
  }
  return sum;
}

/** Sum of the samples of a metric, over all its labels. */
export function sampleOf(text: string, metric: string): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${metric} `) || line.startsWith(`${metric}{`)) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
