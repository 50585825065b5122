// What runs a nats-server, as a process or in a container.

/** What runs a server: each answers when the server is ready, or has ended. */
export type Runner = { start(): Promise<void>; signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>; remove(): Promise<void> };

export type RunnerOptions = {
  readonly binary: string;
  readonly configuration: string;
  readonly files: Readonly<Record<string, string>>;
  readonly folder: string;
};

/** The server's own words when it could not start. */
export class NatsStartError extends Error {
  override readonly name = 'NatsStartError';
}

export const READY = /Server is ready/;
