// The page: one file with everything in it, which opens from a disk without a network. Data is embedded as JSON; the scripts
// and the style of reports/ui draw it.
import type { RunSummary, SuiteSummary, Verdict } from '../../scenarios/record.ts';
import { compareWorlds, type Comparison } from '../compare.ts';
import { causeOf, groupByScenario, worstVerdict, type ScenarioGroup } from '../summarise.ts';
import { LOG_LINES_MAX, type RunView } from '../timeline.ts';

/** Bound: runs whose timeline the page holds. */
export const RUNS_EMBEDDED_MAX = 40;
/** Bound: log lines in the whole page, shared by its runs; with it the file stays below 5 MB. */
const LOG_LINES_PAGE_MAX = 33_000;
/** Bound: runs whose goals the page holds though they held and have no timeline. */
const GOALS_EMBEDDED_MAX = 200;

export type PageAssets = { readonly script: string; readonly style: string };

export type PageRun = Omit<RunSummary, 'lastRecords'> & { readonly cause: string };

/** What the scripts find in the element `data`. */
export type PageData = {
  readonly suite: Omit<SuiteSummary, 'runs'> & { readonly verdict: Verdict; readonly runs: readonly PageRun[] };
  readonly groups: readonly Omit<ScenarioGroup, 'runs'>[];
  readonly comparisons: readonly Comparison[];
  readonly views: readonly RunView[];
};

/** Log lines that each of so many runs may have. */
export function logLinesEach(runs: number): number {
  return Math.min(LOG_LINES_MAX, Math.floor(LOG_LINES_PAGE_MAX / Math.max(1, runs)));
}

/**
 * One classic script of modules that import nothing but each other, in the order in which they need one another. A page that
 * is opened from a disk cannot load modules; so their import and export words are taken away, and one function holds them all.
 */
export function joinModules(sources: readonly string[]): string {
  const bodies = sources.map((source) => source.replace(/^import [^;]*;\n/gm, '').replace(/^export (?=const|let|function|class)/gm, ''));
  return `(() => {\n'use strict';\n${bodies.join('\n')}})();\n`;
}

export function htmlReport(suite: SuiteSummary, views: readonly RunView[], assets: PageAssets): string {
  const verdict = worstVerdict(suite.runs.map((run) => run.verdict));
  const data: PageData = {
    suite: { ...suite, verdict, runs: suite.runs.map((run, i) => pageRun(run, i < GOALS_EMBEDDED_MAX)) },
    groups: groupByScenario(suite.runs).map(({ runs: _runs, ...group }) => group),
    comparisons: compareWorlds(suite.runs),
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

function pageRun({ lastRecords: _lastRecords, ...run }: RunSummary, withGoals: boolean): PageRun {
  const goals = withGoals ? run.goals : run.goals.filter((goal) => !goal.held);
  return { ...run, goals, cause: causeOf({ ...run, lastRecords: [] }) };
}

/** JSON that cannot end the element it stands in. */
function embed(value: PageData): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}
