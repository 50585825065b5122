// The control socket of a machine: commands are answered, a refusal has its words, and whoever cannot be spoken to is let go.
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { Qmp } from '../../../hardware/qemu/qmp.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';

const folder = temporaryFolder();
let server: Server | null = null;
afterEach(() => void server?.close());
afterAll(() => folder.remove());

/** Somebody at a socket; `closed` is fulfilled when who dialled has gone. */
async function listen(name: string, greet: (socket: Socket) => void): Promise<{ readonly path: string; readonly closed: Promise<void> }> {
  const path = join(folder.path, name);
  let gone: () => void = () => {};
  const closed = new Promise<void>((resolve) => (gone = resolve));
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('close', gone);
    socket.resume();
    greet(socket);
  });
  await new Promise<void>((resolve) => server?.listen(path, resolve));
  return { path, closed };
}

it('answers in order, and gives refusals their words', async () => {
  const { path } = await listen('good', (socket) => {
    socket.write('{"QMP":{"version":{}}}\n');
    socket.on('data', (bytes) => {
      for (const line of String(bytes).trim().split('\n')) {
        const { execute } = JSON.parse(line) as { readonly execute: string };
        socket.write('{"event":"RESET"}\n');
        socket.write(execute === 'explode' ? '{"error":{"desc":"no such command"}}\n' : `{"return":{"did":"${execute}"}}\n`);
      }
    });
  });
  const opened = await Qmp.open(path);
  const qmp = opened.ok ? opened.value : null;
  expect(await qmp?.execute('stop')).toEqual({ ok: true, value: { did: 'stop' } });
  expect(await qmp?.execute('explode')).toMatchObject({
    ok: false,
    error: { code: 'WM_MACHINE', message: expect.stringContaining('no such command') },
  });
  qmp?.close();
});

it('lets go of a machine that ends the conversation, or does not agree to it', async () => {
  const ended = await listen('ended', (socket) => socket.end());
  expect(await Qmp.open(ended.path)).toMatchObject({ ok: false, error: { code: 'WM_MACHINE' } });
  await ended.closed;
  server?.close();
  const refusing = await listen('refusing', (socket) => {
    socket.write('{"QMP":{}}\n');
    socket.on('data', () => socket.write('{"error":{"desc":"not now"}}\n'));
  });
  expect(await Qmp.open(refusing.path)).toMatchObject({ ok: false, error: { message: expect.stringContaining('not now') } });
  // It would wait here for ever if the socket stayed open.
  await refusing.closed;
});
