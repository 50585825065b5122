// What a process tells those who watch over it: GET /metrics for Prometheus, /healthz (the event loop answers), /readyz (may it
// be given work, and if not, which part is missing). Read only and without secrets; plain HTTP, so on loopback unless told
// otherwise. Refuses other methods, large headers and slow clients.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';

/** Bound: bytes of the header of a request. */
const HEADER_BYTES_MAX = 8 * 1024;
/** Bound: time in which a request has to arrive. */
const REQUEST_MS_MAX = 5_000;
/** Bound: connections at a time; a further one is closed at once. */
const CONNECTIONS_MAX = 64;
/** Bound: how long answers under way have to leave when the server closes. */
const CLOSE_MS_MAX = 1_000;

/** A part of the process without which it is not ready. */
export type Part = { readonly part: string; readonly ready: boolean; readonly why: string };

export type AdminOptions = {
  /** `host:port`, `[::1]:port`; port 0 takes a free one. */
  readonly address: string;
  readonly metrics: () => Promise<string>;
  /** Asked at each /readyz. */
  readonly ready: () => readonly Part[];
};

export type Admin = {
  /** `host:port` with the real port. */
  readonly address: string;
  close(): Promise<void>;
};

type Answer = { readonly status: number; readonly type: string; readonly body: string; readonly allow?: string };

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PATHS = ['/metrics', '/healthz', '/readyz'] as const;

export async function serveAdmin(options: AdminOptions): Promise<Outcome<Admin>> {
  const address = parse(options.address);
  if (address === null) {
    return rejected('WM_ARGUMENT', {
      message: `The admin address ${options.address} is not host:port.`,
      next: 'Write it as 127.0.0.1:9464; port 0 takes a free one.',
      detail: { address: options.address },
    });
  }
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_MS_MAX, connectionsCheckingInterval: 1_000 },
    (request, response) => void respond(options, request, response),
  );
  server.maxConnections = CONNECTIONS_MAX;
  const trouble = await listen(server, address);
  if (trouble !== null) return describe(trouble, options.address);
  // A later error of the listening socket is nobody's request; each connection has its own handling.
  server.on('error', () => {});
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  return ok({ address: isIPv6(address.host) ? `[${address.host}]:${port}` : `${address.host}:${port}`, close: () => close(server) });
}

async function respond(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Bodies are not read: the connection ends with the answer.
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const { status, type, body, allow } = await answer(options, request);
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(allow === undefined ? {} : { allow }),
    ...(hasBody ? { connection: 'close' } : {}),
  });
  // Node leaves the body of a HEAD out.
  response.end(body);
}

async function answer(options: AdminOptions, { method, url = '' }: IncomingMessage): Promise<Answer> {
  const path = url.split('?', 1)[0];
  const known = PATHS.find((one) => one === path);
  if (known === undefined) return { status: 404, type: TEXT, body: `There is nothing here. Ask for ${PATHS.join(', ')}.\n` };
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, type: TEXT, allow: 'GET, HEAD', body: 'Only GET and HEAD are answered here.\n' };
  }
  try {
    switch (known) {
      case '/metrics':
        return { status: 200, type: METRICS_TYPE, body: await options.metrics() };
      case '/healthz':
        return { status: 200, type: JSON_TYPE, body: `${JSON.stringify({ status: 'alive' })}\n` };
      case '/readyz': {
        const parts = options.ready();
        const ready = parts.every((part) => part.ready);
        return { status: ready ? 200 : 503, type: JSON_TYPE, body: `${JSON.stringify({ ready, parts })}\n` };
      }
    }
  } catch {
    return { status: 500, type: TEXT, body: `${known} could not be answered; the log may say why.\n` };
  }
}

function parse(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? null : { host, port };
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<Error | null> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port }, () => {
      server.off('error', resolve);
      resolve(null);
    });
  });
}

async function close(server: Server): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const late = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX);
  await closed;
  clearTimeout(late);
}

function describe(trouble: Error, address: string): Err {
  const code = 'code' in trouble ? String(trouble.code) : trouble.message;
  if (code === 'EADDRINUSE') {
    return rejected('WM_ARGUMENT', {
      message: `The admin address ${address} is in use by another process.`,
      next: 'Stop the process that has it, or choose another port; 0 takes a free one.',
      detail: { address },
    });
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return rejected('WM_ARGUMENT', {
      message: `The admin server cannot listen on ${address}: ${code}.`,
      next: 'Name an address of this machine, and a port above 1023.',
      detail: { address },
    });
  }
  return failed('WM_UNREACHABLE', {
    message: `The admin server cannot listen on ${address}: ${code}.`,
    next: 'Look at the network of this machine, and start again.',
    detail: { address },
  });
}
