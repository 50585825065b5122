// The page: one file with everything in it, which opens from a disk without a network. Data is embedded as JSON; the script
// and the style of reports/ui draw it.
import type { SuiteSummary } from '../../scenarios/record.ts';
import { causeOf, groupByScenario, worstVerdict } from '../summarise.ts';
import type { RunView } from '../timeline.ts';

/** Bound: runs whose timeline the page holds. */
export const RUNS_EMBEDDED_MAX = 40;

export type PageAssets = { readonly script: string; readonly style: string };

export function htmlReport(suite: SuiteSummary, views: readonly RunView[], assets: PageAssets): string {
  const verdict = worstVerdict(suite.runs.map((run) => run.verdict));
  const data = {
    suite: {
      ...suite,
      verdict,
      runs: suite.runs.map(({ lastRecords: _lastRecords, ...run }) => ({ ...run, cause: causeOf({ ...run, lastRecords: [] }) })),
    },
    groups: groupByScenario(suite.runs).map(({ scenario, question, verdict: groupVerdict, simulatedMicros, wallMs, ratio }) => ({
      scenario,
      question,
      verdict: groupVerdict,
      simulatedMicros,
      wallMs,
      ratio,
    })),
    views,
  };
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">`,
    `<title>WasmMatrix: ${verdict}</title>`,
    `<style>${assets.style}</style>`,
    '</head>',
    '<body>',
    '<noscript>This report is drawn by a script that is part of the file; please allow it.</noscript>',
    '<main id="page"></main>',
    `<script id="data" type="application/json">${embed(data)}</script>`,
    `<script>${assets.script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** JSON that cannot end the element it stands in. */
function embed(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}
