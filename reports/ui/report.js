// The page: what held and what did not, every scenario and seed, and one run in full. Draws the data that is embedded beside
// it; which run, and which moment of it, stands in the address: `#node-failure/0x1@13.46`.
// @ts-check
import { fleetOf } from './fleet.js';
import { logOf } from './log.js';
import { command, count, el, figure, figureWords, lasting, pill, sum, table, tip } from './parts.js';
import { timelineOf } from './timeline.js';

/** @typedef {import('../reporters/html.ts').PageData} PageData */
/** @typedef {import('../reporters/html.ts').PageRun} PageRun */
/** @typedef {import('../../scenarios/record.ts').GoalResult} GoalResult */

/** Seeds that are a button each, in the row of a scenario; the chooser has all. */
const SEEDS_SHOWN_MAX = 24;
/** Failed seeds told in the row of a scenario. */
const CAUSES_SHOWN_MAX = 3;

/** @type {PageData} */
const { suite, groups, comparisons, views } = JSON.parse(document.getElementById('data')?.textContent ?? '');
const runCard = el('section', { class: 'card', id: 'run', 'aria-label': 'Run', tabindex: -1 });
/** @type {{ readonly run: PageRun, readonly button: HTMLButtonElement }[]} */
const seedButtons = [];

/** The world whose time is virtual, and whose runs are the same each time. */
const SIMULATED = 'sim';

/** @param {PageRun} run */
const nameOf = (run) => `${run.scenario}/${run.seed}${run.world === SIMULATED ? '' : `/${run.world}`}`;
/** @param {PageRun} run */
const viewOf = (run) => views.find((view) => view.scenario === run.scenario && view.seed === run.seed && view.world === run.world) ?? null;
/** @param {string} world */
const on = (world) => (world === SIMULATED ? '' : ` on ${world}`);
const isSimulated = suite.runs.every((run) => run.world === SIMULATED);

function header() {
  const held = suite.runs.filter((run) => run.verdict === 'held').length;
  const simulated = sum(suite.runs.map((run) => run.simulatedMicros));
  const total = suite.runs.length;
  const names = [...new Set(groups.map((group) => group.scenario))];
  const figures = [
    ['runs held', `${count(held)} of ${count(total)}`],
    [
      'scenarios held',
      `${names.filter((name) => groups.every((group) => group.scenario !== name || group.verdict === 'held')).length} of ${names.length}`,
    ],
    [isSimulated ? 'simulated' : 'played', lasting(simulated)],
    ['wall time', lasting(suite.wallMs * 1_000)],
    ...(isSimulated ? [['simulated : wall', suite.wallMs > 0 ? ratio(simulated / 1_000 / suite.wallMs) : '–']] : []),
    ['commit', suite.commit?.replace(/^([0-9a-f]{12})[0-9a-f]+/, '$1') ?? '–'],
    ['started', `${suite.startedAt.replace('T', ' ').slice(0, 16)} UTC`],
  ];
  const sentence =
    total === 0
      ? 'Nothing was played.'
      : held === total
        ? `All ${count(total)} runs held.`
        : `${count(total - held)} of ${count(total)} runs did not hold.`;
  return el(
    'header',
    { class: `banner ${suite.verdict}` },
    el('p', { class: 'brand' }, 'WasmMatrix ', el('span', {}, 'report of scenarios')),
    el('h1', {}, sentence, ' ', pill(suite.verdict)),
    el(
      'p',
      { class: 'soft' },
      suite.verify
        ? 'Every seed was played twice, and the digests of both plays were compared.'
        : isSimulated
          ? 'A run is a scenario and a seed; the same two at the same commit give the same run.'
          : 'A run is a scenario, a seed and a world. Real machines have a time of their own: there no two runs are the same.',
    ),
    el(
      'dl',
      { class: 'totals' },
      figures.map(([name, value]) => el('div', {}, el('dt', {}, name ?? ''), el('dd', {}, value ?? ''))),
    ),
  );
}

/** @param {number | null} value */
function ratio(value) {
  return value === null ? '–' : `×${value >= 10 ? Math.round(value) : value.toFixed(1)}`;
}

function scenarios() {
  const rows = groups.map((group) => {
    const runs = suite.runs.filter((run) => run.scenario === group.scenario && run.world === group.world);
    const notes = [...new Set(runs.flatMap((run) => run.notes ?? []))];
    const failed = runs.filter((run) => run.verdict !== 'held');
    const shown = [...failed, ...runs.filter((run) => run.verdict === 'held')]
      .slice(0, SEEDS_SHOWN_MAX)
      .sort((a, b) => runs.indexOf(a) - runs.indexOf(b));
    return el(
      'tr',
      {},
      el('td', {}, pill(group.verdict)),
      el(
        'td',
        {},
        el('b', {}, group.scenario, on(group.world)),
        el('div', {}, group.question),
        notes.map((note) => el('p', { class: 'soft' }, note)),
        failed
          .slice(0, CAUSES_SHOWN_MAX)
          .map((run) => el('div', { class: 'cause' }, el('p', {}, `${run.seed}: ${firstLine(run.cause)}`), command(run.reproduce))),
        failed.length > CAUSES_SHOWN_MAX
          ? el('p', { class: 'soft' }, `and ${count(failed.length - CAUSES_SHOWN_MAX)} more seeds that did not hold`)
          : null,
      ),
      el(
        'td',
        {},
        el(
          'div',
          { class: 'seeds' },
          shown.map(seedButton),
          runs.length > shown.length ? el('span', { class: 'soft' }, `and ${count(runs.length - shown.length)} more`) : null,
        ),
      ),
      el('td', { class: 'number wide' }, lasting(group.simulatedMicros)),
      el('td', { class: 'number wide' }, group.world === SIMULATED ? ratio(group.ratio) : '–'),
    );
  });
  return el(
    'section',
    { class: 'card scenarios', 'aria-label': 'Scenarios' },
    el('h2', {}, 'Scenarios'),
    table(
      'Scenarios and their seeds',
      [
        ['verdict', ''],
        ['question', ''],
        ['seeds', ''],
        [isSimulated ? 'simulated' : 'played', 'number wide'],
        ['ratio', 'number wide'],
      ],
      rows,
    ),
  );
}

/** What has to happen in some run: where it never did comes first. */
function somewhere() {
  if (suite.sometimes.length === 0) return '';
  const lacking = suite.sometimes.filter(({ reached }) => reached === 0).length;
  const rows = [...suite.sometimes]
    .sort((a, b) => Number(a.reached > 0) - Number(b.reached > 0))
    .map(({ scenario, world, claim, runs, reached, times, firstSeed }) => {
      const first = suite.runs.find((run) => run.scenario === scenario && run.world === world && run.seed === firstSeed);
      return el(
        'tr',
        {},
        el('td', { class: reached === 0 ? 'warn' : 'ok' }, reached === 0 ? '! never' : '✔ happened'),
        el('td', {}, el('b', {}, scenario, on(world)), el('div', {}, claim)),
        el('td', { class: 'number' }, `${count(reached)} of ${count(runs)}`),
        el('td', { class: 'number' }, count(times)),
        el('td', {}, first === undefined ? '–' : seedButton(first)),
      );
    });
  return el(
    'section',
    { class: 'card', 'aria-label': 'Things that have to happen in some run' },
    el('h2', {}, 'Sometimes'),
    el(
      'p',
      lacking === 0 ? { class: 'soft' } : { class: 'warn' },
      lacking === 0
        ? 'Everything that has to happen in some run did.'
        : `${lacking} of ${suite.sometimes.length} things that have to happen in some run never did${suite.requireSometimes ? ', and that was required' : '; no run failed for it'}.`,
    ),
    table(
      'Sometimes and seeds',
      [
        ['', ''],
        ['what', ''],
        ['runs', 'number'],
        ['times', 'number'],
        ['first seed', ''],
      ],
      rows,
    ),
  );
}

/** One table for each scenario that was played in more than one world. */
function worldsSideBySide() {
  if (comparisons.length === 0) return '';
  return el(
    'section',
    { class: 'card', 'aria-label': 'Worlds side by side' },
    el('h2', {}, 'Worlds side by side'),
    el('p', { class: 'soft' }, 'The same file, the same goals. Of several seeds the largest figure is shown.'),
    comparisons.map(({ scenario, question, worlds, verdicts, goals }) =>
      el(
        'div',
        {},
        el('h3', {}, scenario),
        el('p', {}, question),
        table(
          `Worlds of ${scenario}`,
          [['', ''], ['figure', ''], ...worlds.map((world) => /** @type {const} */ ([world, 'number']))],
          [
            el(
              'tr',
              {},
              el('td', {}),
              el('td', {}, 'verdict'),
              verdicts.map((verdict) => el('td', { class: 'number' }, pill(verdict))),
            ),
            ...goals.flatMap((goal) =>
              goal.figures.map(({ name, values }, i) =>
                el(
                  'tr',
                  {},
                  el('td', {}, i === 0 ? goal.claim : ''),
                  el('td', {}, figureWords(name, 0)[0]),
                  values.map((value) => el('td', { class: 'number' }, value === null ? '–' : figureWords(name, value)[1])),
                ),
              ),
            ),
          ],
        ),
      ),
    ),
  );
}

/** @param {PageRun} run */
function seedButton(run) {
  const button = el(
    'button',
    {
      type: 'button',
      class: `seed ${run.verdict}`,
      'aria-label': `${run.scenario} with seed ${run.seed}${on(run.world)}: ${run.verdict}`,
      click: () => go(nameOf(run)),
    },
    run.verdict === 'held' ? run.seed : `✖ ${run.seed}`,
  );
  seedButtons.push({ run, button });
  return button;
}

/** Stacks and differences have more lines; the run shows them. @param {string} text */
function firstLine(text) {
  return text.split('\n', 1)[0] ?? '';
}

/** @param {PageRun} run @param {number | null} moment in microseconds */
function showRun(run, moment) {
  for (const { run: other, button } of seedButtons) button.setAttribute('aria-pressed', String(other === run));
  const view = viewOf(run);
  document.title = `${run.scenario} ${run.seed}${on(run.world)}: ${run.verdict}`;
  runCard.className = `card ${run.verdict}`;
  runCard.replaceChildren(
    el('div', { class: 'bar' }, el('h2', {}, `${run.scenario} with seed ${run.seed}${on(run.world)} `, pill(run.verdict)), chooser(run)),
    el('p', {}, run.question),
    run.cause === '' ? '' : el('pre', { class: 'cause' }, run.cause),
    command(run.reproduce),
    el('p', { class: 'soft' }, facts(run)),
  );
  if (view === null) {
    runCard.append(
      el(
        'p',
        { class: 'note' },
        'The timeline of this run is not in this file, which holds the runs that failed and the first of each scenario. The command above plays it alone.',
      ),
      el('h3', {}, 'Goals and invariants'),
      goalsOf(run),
    );
    return;
  }
  const point = (/** @type {number} */ micros) => {
    timeline.point(micros);
    fleet.point(micros);
    history.replaceState(null, '', `#${nameOf(run)}@${(micros / 1e6).toFixed(6).replace(/\.?0+$/, '')}`);
  };
  const log = logOf(view, point);
  const fleet = fleetOf(view, point);
  const timeline = timelineOf(view, run, (machine, micros) => {
    point(micros);
    log.show(machine, micros);
  });
  const begin = moment ?? run.goals.find((goal) => !goal.held && goal.micros !== null)?.micros ?? view.endMicros;
  timeline.point(begin);
  fleet.point(begin);
  runCard.append(
    el('h3', {}, 'Timeline'),
    timeline.node,
    el('h3', {}, 'Records'),
    log.node,
    el('h3', {}, 'Fleet'),
    fleet.node,
    el('h3', {}, 'Goals and invariants'),
    goalsOf(run),
  );
  if (begin < view.endMicros) log.show(null, begin);
}

/** @param {PageRun} run */
function facts(run) {
  const took = `${lasting(run.simulatedMicros)} ${run.world === SIMULATED ? 'simulated' : 'played'} in ${lasting(run.wallMs * 1_000)}`;
  const digest = run.digest === null ? 'no digest: this world does not replay' : `digest ${run.digest}`;
  const tested = run.requirements.length > 0 ? ` · ${run.requirements.join(', ')}` : '';
  const held = run.goals.filter((goal) => goal.held && !goal.unconverged).length;
  const goals = run.goals.length > 0 ? ` · ${held} of ${run.goals.length} goals and invariants held` : '';
  return `${took}${goals} · ${count(run.steps)} steps · ${count(run.records)} records · ${digest}${tested}`;
}

/** @param {PageRun} chosen */
function chooser(chosen) {
  const select = el('select', { 'aria-label': 'Choose a run', change: () => go(select.value) });
  for (const { scenario, world } of groups) {
    const runs = suite.runs.filter((run) => run.scenario === scenario && run.world === world);
    const options = runs.map((run) =>
      el(
        'option',
        { value: nameOf(run), selected: run === chosen },
        `${scenario} ${run.seed}${on(world)}${run.verdict === 'held' ? '' : `: ${run.verdict}`}`,
      ),
    );
    select.append(el('optgroup', { label: `${scenario}${on(world)}` }, options));
  }
  return select;
}

/** @param {PageRun} run */
function goalsOf(run) {
  const rank = (/** @type {GoalResult} */ goal) => (!goal.held ? 0 : goal.unconverged ? 1 : 2);
  const looks = /** @type {const} */ ([
    ['no', '✖ did not hold'],
    ['soft', '– not judged'],
    ['ok', '✔ held'],
  ]);
  const rows = [...run.goals]
    .sort((a, b) => rank(a) - rank(b))
    .map((goal) => {
      const [look, word] = looks[rank(goal)] ?? looks[0];
      return el(
        'tr',
        {},
        el('td', { class: look }, word),
        el('td', {}, el('b', {}, goal.name)),
        el(
          'td',
          {},
          goal.claim,
          goal.held ? null : el('p', { class: 'cause' }, goal.because),
          rank(goal) === 1 ? el('p', { class: 'soft' }, 'The run ended before its time came.') : null,
        ),
        el(
          'td',
          { class: 'number' },
          goal.checks === 0 ? el('span', { class: 'warn', title: 'It never looked at anything.' }, '0') : count(goal.checks),
        ),
        el(
          'td',
          { class: 'figures' },
          Object.entries(goal.figures).map(([name, value]) => el('div', {}, figure(name, value))),
        ),
      );
    });
  if (rows.length === 0) return el('p', { class: 'soft' }, 'The goals of this run are not in this file; see summary.json.');
  return table(
    'Goals and invariants',
    [
      ['', ''],
      ['name', ''],
      ['claim', ''],
      ['checks', 'number'],
      ['figures', ''],
    ],
    rows,
  );
}

/** Shows a run that a person chose. @param {string} name */
function go(name) {
  history.replaceState(null, '', `#${name}`);
  showAddressed();
  runCard.scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}

/** The run that the address names, or one that failed, or the first. */
function showAddressed() {
  const [name = '', seconds = ''] = decodeURIComponent(location.hash.slice(1)).split('@');
  const run =
    suite.runs.find((one) => nameOf(one) === name) ??
    suite.runs.find((one) => one.verdict !== 'held' && viewOf(one) !== null) ??
    suite.runs[0];
  if (run !== undefined) showRun(run, seconds === '' || Number.isNaN(Number(seconds)) ? null : Number(seconds) * 1e6);
}

document.getElementById('page')?.append(header(), scenarios(), somewhere(), worldsSideBySide(), runCard, tip);
addEventListener('hashchange', showAddressed);
showAddressed();
