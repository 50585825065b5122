// What a long-running process of ours shares with others of its kind: settings from flags, environment and file, and an end in
// order. The first signal asks it to stop, a second one (not the same wish told twice) ends it at once.
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';

export { CONTROLLER_SETTINGS, AGENT_SETTINGS } from './tables.ts';
export { expectationOf, flagOf, resolveSettings, variableOf } from './settings.ts';
export type { Resolved, SettingsTable } from './settings.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npx passes Ctrl-C on to a process that the terminal has told already: what follows at once is the same wish. */
const SIGNAL_AGAIN_MS = 500;
const EXIT_FORCED = 130;

export type Ending = {
  /** Resolves with the name of the first signal. */
  readonly asked: Promise<string>;
  /** Signals mean again what they meant before. */
  forget(): void;
};

/** `onForced` is told before the second signal ends the process. */
export function watchSignals(onForced: () => void): Ending {
  let first: number | null = null;
  let ask: (signal: string) => void = () => {};
  const asked = new Promise<string>((resolve) => (ask = resolve));
  const handle = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === null) {
      first = now;
      return ask(signal);
    }
    if (now - first < SIGNAL_AGAIN_MS) return undefined;
    onForced();
    return process.exit(EXIT_FORCED);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return {
    asked,
    forget: () => {
      for (const signal of SIGNALS) process.off(signal, handle);
    },
  };
}

/** Where this user's programs keep what must survive: `$XDG_DATA_HOME` or `~/.local/share`, and `wasmmatrix` in it. */
export function dataHome(environment: Readonly<Record<string, string | undefined>>): string {
  const xdg = environment['XDG_DATA_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.local', 'share'), 'wasmmatrix');
}

/** Where this user's settings are: `$XDG_CONFIG_HOME` or `~/.config`, and `wasmmatrix` in it. */
export function configurationHome(environment: Readonly<Record<string, string | undefined>>): string {
  const xdg = environment['XDG_CONFIG_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.config'), 'wasmmatrix');
}
