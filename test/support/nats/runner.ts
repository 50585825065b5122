// What runs a nats-server, as a process or in a container.

/** What runs a server: each answers when the server is ready, or has ended. `start` rejects with the server's own words. */
export type Runner = { start(): Promise<void>; signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>; remove(): Promise<void> };

export type RunnerOptions = {
  readonly binary: string;
  readonly configuration: string;
  readonly files: Readonly<Record<string, string>>;
  readonly folder: string;
};

export const READY = /Server is ready/;
