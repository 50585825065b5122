import { describe, expect, test } from 'vitest';
import { encodeAnswer, type AnswerMessage } from '../../../sim/campaign/remote/messages.ts';
import { Workforce } from '../../../sim/campaign/remote/workforce.ts';

const ONE: AnswerMessage = { worker: 'w1', name: 'one', threads: 2, refuses: null, playing: [{ run: 3, micros: 10, steps: 4 }] };

function workforce(): { readonly force: Workforce; readonly said: string[]; readonly pass: (ms: number, isWaiting?: boolean) => void } {
  const said: string[] = [];
  let nowMs = 0;
  const force = new Workforce({
    servers: 'nats://here:4222',
    warn: (text) => said.push(`! ${text}`),
    tell: (text) => said.push(text),
    nowMs: () => nowMs,
  });
  const pass = (ms: number, isWaiting = true): void => {
    nowMs += ms;
    force.look(isWaiting);
  };
  return { force, said, pass };
}

describe('those who play', () => {
  test('are told once, and counted until they fall silent', () => {
    const { force, said, pass } = workforce();
    force.hear(encodeAnswer(ONE));
    pass(9_000);
    force.hear(encodeAnswer({ ...ONE, playing: [] }));
    pass(9_000);
    expect({ count: force.count(), playing: force.playing(), said }).toEqual({
      count: 1,
      playing: [],
      said: ['Worker one plays with 2 threads.'],
    });
    pass(1_000);
    expect(force.count()).toBe(0);
    expect(said.at(-1)).toBe('Worker one answers no more; what it played is played by others.');
  });

  test('that refuse are told with their reason, and count for nobody', () => {
    const { force, said, pass } = workforce();
    force.hear(encodeAnswer({ ...ONE, playing: [], refuses: 'it is another build' }));
    expect(said).toEqual(['! Worker one plays none of these runs: it is another build.']);
    pass(5_000);
    expect(said.at(-1)).toMatch(/^! No worker plays these runs\. .*npx wasmmatrix worker --nats nats:\/\/here:4222/);
  });

  test('are missed after some seconds, once a minute, and only while something waits', () => {
    const { said, pass } = workforce();
    pass(4_000);
    expect(said).toEqual([]);
    pass(1_000);
    pass(30_000);
    expect(said).toHaveLength(1);
    pass(30_000);
    expect(said).toHaveLength(2);
    pass(1_000, false);
    pass(4_000);
    expect(said).toHaveLength(2);
  });
});
