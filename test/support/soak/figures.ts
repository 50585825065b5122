// What a running process says of itself on its page of metrics, as numbers.

export type Figures = {
  readonly rssBytes: number;
  /** What has survived: the space of new objects rises and falls with each moment. */
  readonly heapBytes: number;
  readonly openFiles: number;
  readonly handles: number;
  readonly cpuSeconds: number;
  /** Longest 99 of 100 turns of the event loop since the last look. */
  readonly lagSeconds: number;
  readonly text: string;
};

export async function readFigures(admin: string): Promise<Figures> {
  const response = await fetch(`http://${admin}/metrics`);
  const text = await response.text();
  return {
    rssBytes: sampleOf(text, 'process_resident_memory_bytes'),
    heapBytes: sampleOf(text, 'nodejs_heap_space_size_used_bytes', ['old', 'large_object', 'code']),
    openFiles: sampleOf(text, 'process_open_fds'),
    handles: sampleOf(text, 'nodejs_active_handles_total'),
    cpuSeconds: sampleOf(text, 'process_cpu_seconds_total'),
    lagSeconds: sampleOf(text, 'nodejs_eventloop_lag_p99_seconds'),
    text,
  };
}

/** Sum of the samples of a metric, over all its labels, or of the heap spaces that are named. */
export function sampleOf(text: string, metric: string, spaces: readonly string[] | null = null): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${metric} `) && !line.startsWith(`${metric}{`)) continue;
    if (spaces !== null && !spaces.some((space) => line.includes(`space="${space}"`))) continue;
    sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
