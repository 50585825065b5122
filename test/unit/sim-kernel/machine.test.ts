import { describe, expect, test } from 'vitest';
import type { Kernel, Machine } from '../../../sim/kernel/kernel.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { playKernel } from './play.ts';

function booted(kernel: Kernel, name = 'a', cores = 1): Machine {
  const machine = kernel.machine(name, { cores });
  machine.boot();
  return machine;
}

/** Plays, and gives what was said with the time at which it was said. */
async function said(prepare: (kernel: Kernel, say: (text: string) => () => void) => void): Promise<string[]> {
  const lines: string[] = [];
  const { end } = await playKernel((kernel) => prepare(kernel, (text) => () => lines.push(`${text}@${kernel.now()}`)));
  expect(end.error).toBeNull();
  return lines;
}

describe('a crash', () => {
  test('drops what was scheduled, for good, and leaves other machines alone', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel, 'a');
      const b = booted(kernel, 'b');
      const lost = kernel.after(10, a, 'a', say('a'));
      kernel.after(10, b, 'b', say('b'));
      a.execute(10, 'work', say('work'));
      kernel.after(5, null, 'crash', () => {
        a.crash();
        a.crash();
        expect([a.alive, lost.pending]).toEqual([false, false]);
        lost.cancel();
      });
      kernel.after(6, null, 'boot', () => {
        a.boot();
        kernel.after(10, a, 'a', say('new a'));
        a.execute(1, 'work', say('new work'));
      });
    });
    expect(lines).toEqual(['new work@7', 'b@10', 'new a@16']);
  });

  test('leaves promises that never settle, and nothing of the old incarnation can be scheduled on the new one', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      const clock = createClock(kernel, a);
      void clock.sleep(10).then(say('woke'));
      kernel.after(5, null, 'crash', () => {
        void Promise.resolve().then(() => kernel.after(1, a, 'zombie', say('zombie')));
        a.crash();
      });
      kernel.after(5, null, 'boot', () => a.boot());
      kernel.after(6, null, 'zombie', () => {
        clock.after(1, say('zombie timer'));
        void clock.sleep(1).then(say('zombie sleep'));
      });
    });
    expect(lines).toEqual([]);
  });

  test('booting in the event that crashed it, or while alive, is a bug', async () => {
    const { end } = await playKernel((kernel) => {
      const a = booted(kernel);
      expect(() => a.boot()).toThrow('boots while it is running');
      kernel.after(1, null, 'crash', () => {
        a.crash();
        a.boot();
      });
    });
    expect(String(end.error)).toContain('boots in the event that crashed it');
  });
});

describe('a paused machine', () => {
  test('gets what came due meanwhile after it resumes, in that order, before what comes due later', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      kernel.after(10, null, 'resume', () => a.resume());
      kernel.after(5, a, 'second', say('second'));
      kernel.after(3, a, 'first', () => {
        say('first')();
        kernel.after(0, a, 'after first', say('set by first'));
      });
      kernel.after(10, a, 'due at resume', say('third'));
      kernel.after(7, a, 'cancelled', say('never')).cancel();
      kernel.after(6, a, 'world', say('held')).cancel();
      kernel.after(1, null, 'pause', () => a.pause());
      kernel.after(4, null, 'other', say('world'));
    });
    expect(lines).toEqual(['world@4', 'first@10', 'second@10', 'third@10', 'set by first@10']);
  });

  test('can be paused again before everything held was delivered', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      a.pause();
      kernel.after(1, a, 'one', () => {
        say('one')();
        a.pause();
      });
      kernel.after(2, a, 'two', say('two'));
      kernel.after(5, null, 'resume', () => a.resume());
      kernel.after(6, a, 'three', say('three'));
      kernel.after(9, null, 'twice', () => {
        a.resume();
        a.pause();
        a.resume();
      });
    });
    expect(lines).toEqual(['one@5', 'two@9', 'three@9']);
  });

  test('loses what is held when it crashes', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      a.pause();
      kernel.after(1, a, 'one', say('one'));
      kernel.after(2, null, 'crash', () => a.crash());
      kernel.after(3, null, 'boot', () => {
        a.boot();
        expect(a.paused).toBe(false);
        kernel.after(0, a, 'new', say('new'));
      });
    });
    expect(lines).toEqual(['new@3']);
  });

  test('does no work meanwhile: what is left of it is done after it resumes', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      a.execute(10, 'long', say('long'));
      a.execute(5, 'next', say('next'));
      kernel.after(4, null, 'pause', () => a.pause());
      kernel.after(100, null, 'resume', () => a.resume());
    });
    expect(lines).toEqual(['long@106', 'next@111']);
  });
});

describe('the processor', () => {
  test('does as much at once as it has cores, first come first served', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel, 'a', 2);
      for (const [cost, name] of [
        [10, 'w1'],
        [4, 'w2'],
        [4, 'w3'],
        [0, 'w4'],
        [1, 'w5'],
      ] as const)
        a.execute(cost, 'work', say(name));
    });
    expect(lines).toEqual(['w2@4', 'w3@8', 'w4@8', 'w5@9', 'w1@10']);
  });

  test('is free at once when work is cancelled, waiting or running', async () => {
    const lines = await said((kernel, say) => {
      const a = booted(kernel);
      const running = a.execute(100, 'running', say('running'));
      const waiting = a.execute(100, 'waiting', say('waiting'));
      a.execute(3, 'last', say('last'));
      expect([running.micros, waiting.micros]).toEqual([100, Infinity]);
      kernel.after(1, null, 'cancel', () => {
        waiting.cancel();
        running.cancel();
        expect([running.pending, waiting.pending]).toEqual([false, false]);
      });
    });
    expect(lines).toEqual(['last@4']);
  });

  test('has whole cores and costs whole microseconds', async () => {
    await playKernel((kernel) => {
      expect(() => kernel.machine('none', { cores: 0 })).toThrow('whole cores');
      expect(() => booted(kernel).execute(1.5, 'half', () => {})).toThrow('whole microseconds');
      expect(() => kernel.machine('a')).toThrow('one machine called a');
    });
  });
});
