// Whether NATS servers call fsync before they acknowledge. Only their monitoring endpoint says so: by default JetStream writes to
// the page cache and syncs every two minutes, and a machine that loses power then loses what it had acknowledged.
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';

/** Bound: an answer of the monitoring endpoint. */
const MONITOR_MS_MAX = 3_000;

type Told = { readonly disabled?: boolean; readonly config?: { readonly sync_always?: boolean; readonly sync_interval?: number } };

/** Asks every server of the list, `http://host:8222` each: in a cluster one that does not sync is enough to lose. */
export async function checkSyncAlways(monitorUrls: readonly string[]): Promise<Outcome<void>> {
  for (const url of monitorUrls) {
    let told: Told;
    try {
      const answer = await fetch(new URL('/jsz', url), { signal: AbortSignal.timeout(MONITOR_MS_MAX) });
      told = (await answer.json()) as Told;
    } catch (error) {
      const cause = (error as Error).cause;
      return failed('WM_UNREACHABLE', {
        message: `The monitoring endpoint of NATS at ${url} does not answer: ${cause instanceof Error ? cause.message : (error as Error).message}.`,
        next: 'Start nats-server with `http_port`, or correct the address: it is asked whether the server syncs.',
      });
    }
    if (told.config?.sync_always === true) continue;
    const intervalS = (told.config?.sync_interval ?? 0) / 1_000_000_000;
    return rejected('WM_NATS_REFUSED', {
      message:
        told.disabled === true
          ? `The NATS server at ${url} has not enabled JetStream.`
          : `The NATS server at ${url} calls fsync every ${intervalS} s, not before it acknowledges: a power cut would lose what was acknowledged.`,
      next: 'Set `sync_interval: always` in its `jetstream` block and restart it.',
    });
  }
  return ok();
}
