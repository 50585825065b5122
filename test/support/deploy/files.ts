// The files under hardware/deploy as data, and what they are held against: the settings, ports and metrics of the product.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { GATEWAY_METRICS } from '../../../hardware/mqtt/mqtt.ts';
import {
  AGENT_SETTINGS,
  CONTROLLER_SETTINGS,
  resolveSettings,
  type Resolved,
  type SettingsTable,
} from '../../../hardware/process/process.ts';
import { openTelemetry } from '../../../hardware/telemetry/telemetry.ts';
import { Source } from '../../../scenarios/mistakes.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';

export const DEPLOY = fileURLToPath(new URL('../../../hardware/deploy/', import.meta.url));
/** Ports that every file agrees on; those of the controller are its defaults. */
export const PORTS = { controller: 7420, controllerAdmin: 7421, agent: 7430, agentAdmin: 7431, gatewayAdmin: 7441 } as const;

export type Plain = Readonly<Record<string, unknown>>;

export function deployFiles(): readonly string[] {
  return readdirSync(DEPLOY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(DEPLOY, join(entry.parentPath, entry.name)))
    .sort();
}

export function textOf(name: string): string {
  return readFileSync(join(DEPLOY, name), 'utf8');
}

/** The documents of a YAML file, anchors and merges resolved; throws what is no YAML. */
export function documentsOf(name: string): readonly Plain[] {
  return parseAllDocuments(textOf(name), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${name}: ${document.errors[0]!.message}`);
    return document.toJS() as Plain;
  });
}

/** The value under a path of keys and numbers; undefined when there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<string | number, unknown>)[key] : undefined),
    value,
  );
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

export function tableOf(role: 'controller' | 'agent'): SettingsTable {
  return role === 'controller' ? CONTROLLER_SETTINGS : AGENT_SETTINGS;
}

/** As a process reads its file. */
export function settingsOf(role: 'controller' | 'agent', name: string, text: string): Outcome<Resolved> {
  const source = new Source(name, text, { code: 'WM_SETTINGS_INVALID', next: 'Correct it.' });
  const folder = dirname(join(DEPLOY, name));
  return resolveSettings(tableOf(role), { flags: {}, environment: {}, file: source, folder, fileFolder: folder });
}

/** Every name that the product offers to Prometheus, those of the parts of histograms among them, and Prometheus's own `up`. */
export async function metricNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>(['up', ...GATEWAY_METRICS]);
  for (const role of ['controller', 'agent'] as const) {
    const telemetry = openTelemetry({ source: role, incarnation: 1, role, log: null, records: null });
    if (!telemetry.ok) throw new Error(telemetry.error.message);
    for (const [, name = '', type] of (await telemetry.value.metrics()).matchAll(/^# TYPE (\w+) (\w+)/gm)) {
      names.add(name);
      if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) names.add(`${name}_${part}`);
    }
    await telemetry.value.close();
  }
  return names;
}

const WORDS = [
  'and',
  'or',
  'unless',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'offset',
  'sum',
  'max',
  'min',
  'avg',
  'count',
  'topk',
  'bottomk',
];

/** The metrics that a query names. */
export function metricsIn(query: string): readonly string[] {
  const bare = query
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  return [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\s*\()/g)].map(([name]) => name).filter((name) => !WORDS.includes(name));
}
