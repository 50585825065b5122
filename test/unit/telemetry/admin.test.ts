// What a process tells those who watch over it.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { serveAdmin } from '../../../hardware/telemetry/telemetry.ts';
import type { Admin, AdminOptions, Part } from '../../../hardware/telemetry/telemetry.ts';

const open: Admin[] = [];
afterEach(async () => {
  for (const admin of open.splice(0)) await admin.close();
});

async function serve(options: Partial<AdminOptions> = {}): Promise<string> {
  const served = await serveAdmin({
    address: '127.0.0.1:0',
    metrics: () => Promise.resolve('# HELP a b\na 1\n'),
    ready: () => [],
    ...options,
  });
  if (!served.ok) throw new Error(served.error.message);
  open.push(served.value);
  return served.value.address;
}

describe('the admin server', () => {
  it('gives Prometheus the metrics, in the content type that it asks for', async () => {
    const response = await fetch(`http://${await serve()}/metrics`);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(await response.text()).toBe('# HELP a b\na 1\n');
  });

  it('says that the process is alive', async () => {
    const response = await fetch(`http://${await serve()}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'alive' }]);
  });

  it('is ready only when every part is, and says which part is not', async () => {
    const parts: Part[] = [
      { part: 'bus', ready: true, why: '' },
      { part: 'journal', ready: false, why: 'It is being recovered.' },
    ];
    const address = await serve({ ready: () => parts });
    const before = await fetch(`http://${address}/readyz`);
    expect([before.status, await before.json()]).toEqual([503, { ready: false, parts }]);
    parts[1] = { part: 'journal', ready: true, why: '' };
    const after = await fetch(`http://${address}/readyz`);
    expect([after.status, await after.json()]).toEqual([200, { ready: true, parts }]);
  });

  it('answers HEAD with the header alone', async () => {
    const response = await fetch(`http://${await serve()}/metrics`, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '15', '']);
  });

  it('knows three paths and two methods', async () => {
    const address = await serve();
    expect((await fetch(`http://${address}/`)).status).toBe(404);
    expect((await fetch(`http://${address}/metrics/x`)).status).toBe(404);
    expect((await fetch(`http://${address}/metrics?x=1`)).status).toBe(200);
    const posted = await fetch(`http://${address}/metrics`, { method: 'POST', body: 'x' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('says so when the answer cannot be given, and goes on', async () => {
    const address = await serve({ metrics: () => Promise.reject(new Error('secret')) });
    const response = await fetch(`http://${address}/metrics`);
    expect([response.status, await response.text()]).toEqual([500, '/metrics could not be answered; the log may say why.\n']);
    expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
  });

  it('refuses a large header', async () => {
    const response = await fetch(`http://${await serve()}/healthz`, { headers: { 'x-long': 'a'.repeat(20_000) } });
    expect(response.status).toBe(431);
  });

  it('does not wait for a request that never comes to its end', async () => {
    const address = await serve();
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n');
    let answered = '';
    socket.on('data', (data) => (answered += String(data)));
    await once(socket, 'close');
    expect(answered).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('closes although somebody keeps his connection', async () => {
    const address = await serve();
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'data');
    await open.pop()?.close();
    if (!socket.closed) await once(socket, 'close');
    await expect(fetch(`http://${address}/healthz`)).rejects.toThrow('fetch failed');
  });

  it('refuses a port that is in use, with a sentence', async () => {
    const address = await serve();
    const second = await serveAdmin({ address, metrics: () => Promise.resolve(''), ready: () => [] });
    expect(second).toMatchObject({
      ok: false,
      error: { code: 'WM_ARGUMENT', message: `The admin address ${address} is in use by another process.` },
    });
  });

  it.each(['9464', 'localhost', 'localhost:99999', 'http://x:1'])('refuses %s as an address', async (address) => {
    expect(await serveAdmin({ address, metrics: () => Promise.resolve(''), ready: () => [] })).toMatchObject({
      ok: false,
      error: { code: 'WM_ARGUMENT' },
    });
  });
});
