// Draws the report from the data that is embedded beside it. No framework and no network: the file is all there is.
// @ts-nocheck
'use strict';
(() => {
  const { suite, groups, views } = JSON.parse(document.getElementById('data').textContent);
  const page = document.getElementById('page');
  const SVG = 'http://www.w3.org/2000/svg';
  const MARKS = { held: '✔', violated: '✖', unconverged: '✖', nondeterministic: '✖', bug: '✖', rejected: '!', cancelled: '–' };
  const MARK_LOOKS = {
    placement: ['◆', '--accent'],
    refusal: ['✖', '--bad'],
    deadletter: ['☠', '--bad'],
    fenced: ['⊘', '--warn'],
    lease: ['◔', '--warn'],
    version: ['▲', '--soft'],
  };
  const STATES = ['healthy', 'suspect', 'unavailable', 'draining', 'paused', 'off', 'starting'];

  /** An element with attributes and children; functions become listeners. */
  function el(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
  }
  function svg(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  }
  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (typeof value === 'function') node.addEventListener(key, value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children.flat().filter((child) => child !== null));
    return node;
  }
  const seconds = (micros, digits = 2) => `${(micros / 1e6).toFixed(digits)} s`;
  function span(micros) {
    const s = micros / 1e6;
    return s < 120 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  }
  const verdict = (word) => el('span', { class: `verdict ${word}` }, `${MARKS[word]} ${word}`);
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // ---- header and scenarios
  function header() {
    const held = suite.runs.filter((run) => run.verdict === 'held').length;
    const simulated = sum(suite.runs.map((run) => run.simulatedMicros));
    const figures = [
      ['runs held', `${held} of ${suite.runs.length}`],
      ['scenarios held', `${groups.filter((group) => group.verdict === 'held').length} of ${groups.length}`],
      ['simulated', span(simulated)],
      ['wall time', span(suite.wallMs * 1000)],
      ['ratio', suite.wallMs > 0 ? `×${Math.round(simulated / 1000 / suite.wallMs)}` : '–'],
      ['commit', suite.commit ?? '–'],
      ['started', suite.startedAt.replace('T', ' ').slice(0, 16) + ' UTC'],
    ];
    return el(
      'header',
      {},
      el('h1', {}, 'WasmMatrix ', verdict(suite.verdict)),
      el(
        'p',
        { class: 'soft' },
        suite.verify ? 'Every seed was played twice and compared.' : 'Each run is a scenario and a seed; the same two give the same run.',
      ),
      el(
        'div',
        { class: 'totals' },
        figures.map(([name, value]) => el('div', {}, el('b', {}, value), el('span', { class: 'soft' }, name))),
      ),
    );
  }

  function command(text) {
    const button = el(
      'button',
      {
        type: 'button',
        click: async () => {
          try {
            await navigator.clipboard.writeText(text);
            button.textContent = 'Copied';
          } catch {
            getSelection().selectAllChildren(button.previousSibling);
          }
        },
      },
      'Copy',
    );
    return el('div', { class: 'command' }, el('code', { class: 'mono' }, text), button);
  }

  const seedButtons = [];
  function scenarios() {
    const rows = groups.map((group) => {
      const runs = suite.runs.filter((run) => run.scenario === group.scenario);
      const failed = runs.filter((run) => run.verdict !== 'held').slice(0, 3);
      return el(
        'tr',
        {},
        el('td', {}, verdict(group.verdict)),
        el(
          'td',
          {},
          el('b', {}, group.scenario),
          el('div', {}, group.question),
          failed.map((run) => el('div', {}, el('p', { class: 'cause' }, `${run.seed}: ${run.cause}`), command(run.reproduce))),
        ),
        el(
          'td',
          {},
          el(
            'div',
            { class: 'seeds' },
            runs.map((run) => {
              const view = views.findIndex((candidate) => candidate.scenario === run.scenario && candidate.seed === run.seed);
              const button = el(
                'button',
                {
                  type: 'button',
                  class: `seed ${run.verdict}`,
                  disabled: view < 0,
                  title: view < 0 ? 'its timeline is not in this file; see run.jsonl' : `show ${run.scenario} ${run.seed}`,
                  'aria-pressed': 'false',
                  click: () => {
                    choose(view);
                    document.getElementById('run').scrollIntoView({ behavior: 'smooth' });
                  },
                },
                el('span', {}, run.seed),
              );
              seedButtons.push({ button, view });
              return button;
            }),
          ),
        ),
        el('td', { class: 'number wide' }, span(group.simulatedMicros)),
        el('td', { class: 'number wide' }, group.ratio === null ? '–' : `×${Math.round(group.ratio)}`),
      );
    });
    return el(
      'section',
      { class: 'card', 'aria-label': 'Scenarios' },
      el('h2', {}, 'Scenarios'),
      el(
        'div',
        { class: 'scroll' },
        el(
          'table',
          {},
          el(
            'thead',
            {},
            el(
              'tr',
              {},
              el('th', {}, 'verdict'),
              el('th', {}, 'question'),
              el('th', {}, 'seeds'),
              el('th', { class: 'number wide' }, 'simulated'),
              el('th', { class: 'number wide' }, 'ratio'),
            ),
          ),
          el('tbody', {}, rows),
        ),
      ),
    );
  }

  // ---- one run
  const tip = el('div', { class: 'tip', role: 'status', hidden: true });
  function showTip(event, text) {
    tip.textContent = text;
    tip.hidden = false;
    const box = event.target.getBoundingClientRect();
    const x = event.clientX || box.left + box.width / 2;
    const y = event.clientY || box.bottom;
    tip.style.left = `${Math.max(6, Math.min(innerWidth - tip.offsetWidth - 6, x + 12))}px`;
    tip.style.top = `${y + 16 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 8 : y + 16}px`;
  }
  const hideTip = () => {
    tip.hidden = true;
  };
  function withTip(node, text) {
    node.setAttribute('aria-label', text);
    node.addEventListener('pointermove', (event) => showTip(event, text));
    node.addEventListener('pointerleave', hideTip);
    node.addEventListener('focus', (event) => showTip(event, text));
    node.addEventListener('blur', hideTip);
    return node;
  }

  const runCard = el('section', { class: 'card', id: 'run', 'aria-label': 'Run' });
  function choose(index) {
    for (const { button, view } of seedButtons) button.setAttribute('aria-pressed', String(view === index));
    const view = views[index];
    if (view === undefined) return;
    const run = suite.runs.find((candidate) => candidate.scenario === view.scenario && candidate.seed === view.seed);
    history.replaceState(null, '', `#${view.scenario}/${view.seed}`);
    const log = logOf(view);
    runCard.replaceChildren(
      el('h2', {}, `${view.scenario} with seed ${view.seed} `, verdict(run.verdict)),
      el('p', {}, run.question),
      run.cause === '' ? '' : el('p', { class: 'cause' }, run.cause),
      el(
        'div',
        { class: 'bar' },
        el(
          'label',
          {},
          'Run ',
          el(
            'select',
            { change: (event) => choose(Number(event.target.value)) },
            views.map((other, i) => el('option', { value: i, selected: i === index }, `${other.scenario} ${other.seed}`)),
          ),
        ),
        el('span', { class: 'soft mono' }, `digest ${run.digest ?? '–'} · ${run.records} records · ${run.steps} steps`),
      ),
      command(run.reproduce),
      el('h3', {}, 'Timeline'),
      timelineOf(view, run, log.show),
      el(
        'div',
        { class: 'columns' },
        el('div', {}, el('h3', {}, 'Goals and invariants'), goalsOf(run)),
        el('div', {}, el('h3', {}, 'Fleet'), mapOf(view), fleetOf(view)),
      ),
      el('h3', {}, 'Records'),
      log.node,
    );
  }

  function goalsOf(run) {
    const figures = (goal) =>
      Object.entries(goal.figures)
        .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toFixed(1)}`)
        .join(', ');
    const state = (goal) =>
      !goal.held ? ['✖', 'no', ''] : goal.unconverged ? ['–', 'soft', 'Not judged: the run ended before its time came.'] : ['✔', 'ok', ''];
    return el(
      'div',
      { class: 'scroll' },
      el(
        'table',
        {},
        el('thead', {}, el('tr', {}, el('th', {}, ''), el('th', {}, 'claim'), el('th', { class: 'number' }, 'checks'))),
        el(
          'tbody',
          {},
          run.goals.map((goal) =>
            el(
              'tr',
              {},
              el('td', { class: state(goal)[1] }, `${state(goal)[0]} ${goal.name}`),
              el(
                'td',
                {},
                goal.claim,
                goal.held ? '' : el('p', { class: 'cause' }, goal.because),
                state(goal)[2] === '' ? '' : el('div', { class: 'soft' }, state(goal)[2]),
                el('div', { class: 'soft mono' }, figures(goal)),
              ),
              el('td', { class: 'number' }, goal.checks),
            ),
          ),
        ),
      ),
    );
  }

  const lastState = (lane) => lane.bands.at(-1)?.state ?? 'starting';
  function fleetOf(view) {
    return el(
      'div',
      { class: 'scroll' },
      el(
        'table',
        {},
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            ['machine', 'zone', 'architecture', 'at the end'].map((name) => el('th', {}, name)),
          ),
        ),
        el(
          'tbody',
          {},
          view.lanes.map((lane) =>
            el(
              'tr',
              {},
              el('td', {}, lane.machine.machine),
              el('td', {}, lane.machine.zone),
              el('td', {}, lane.machine.architecture),
              el('td', {}, lastState(lane)),
            ),
          ),
        ),
      ),
    );
  }

  function mapOf(view) {
    const places = view.lanes.map(({ machine }) => machine);
    const [west, east] = extent(places.map((place) => place.longitude));
    const [south, north] = extent(places.map((place) => place.latitude));
    const box = svg('svg', {
      class: 'map',
      viewBox: '0 0 420 220',
      role: 'img',
      'aria-label': 'Where the machines are, by longitude and latitude',
    });
    const seen = new Map();
    const zones = new Map();
    for (const lane of view.lanes) {
      const { machine, zone, longitude, latitude } = lane.machine;
      const at = `${longitude} ${latitude}`;
      const n = seen.get(at) ?? 0;
      seen.set(at, n + 1);
      const x = 50 + ((longitude - west) / (east - west || 1)) * 320 + (n % 6) * 15;
      const y = 190 - ((latitude - south) / (north - south || 1)) * 150 + Math.floor(n / 6) * 15;
      if (!zones.has(zone)) zones.set(zone, [x, y]);
      const shape =
        lane.machine.role === 'controller'
          ? svg('rect', { x: x - 6, y: y - 6, width: 12, height: 12, rx: 2 })
          : svg('circle', { cx: x, cy: y, r: 6 });
      fill(shape, { fill: `var(--${lastState(lane)})`, stroke: 'var(--ink)', tabindex: 0 }, []);
      box.append(withTip(shape, `${machine}, ${zone}, ${lane.machine.architecture}: ${lastState(lane)}`));
    }
    for (const [zone, [x, y]] of zones) box.append(svg('text', { x: Math.min(x - 6, 330), y: y - 12 }, zone));
    return box;
  }
  function extent(values) {
    return [Math.min(...values), Math.max(...values)];
  }

  // ---- timeline
  const LABEL = 118;
  const BAND = 12;
  const ROW = 17;
  const HISTOGRAM = 22;
  function timelineOf(view, run, showLog) {
    let from = 0;
    let to = view.endMicros || 1;
    const holder = el('div', { class: 'timeline' });
    const rowsOf = (lane) => {
      const ends = [];
      return lane.bars.map((bar) => {
        let row = ends.findIndex((end) => end <= bar.from);
        if (row < 0) row = ends.length;
        ends[row] = Math.max(bar.to, bar.from + 1);
        return row;
      });
    };
    const rows = view.lanes.map(rowsOf);
    const heights = rows.map((lane) => 8 + BAND + 4 + (lane.length ? (Math.max(...lane) + 1) * ROW : 0) + HISTOGRAM + 6);

    function draw() {
      const width = Math.max(320, holder.clientWidth || 1000);
      const label = width < 560 ? 74 : LABEL;
      const height = 26 + sum(heights);
      const x = (micros) => label + ((micros - from) / (to - from)) * (width - label - 8);
      const clip = (micros) => Math.max(label, Math.min(width - 8, x(micros)));
      const root = svg('svg', {
        viewBox: `0 0 ${width} ${height}`,
        height,
        role: 'group',
        tabindex: 0,
        'aria-label': 'Timeline; plus and minus zoom, arrows move, 0 shows all',
      });
      root.append(
        svg(
          'defs',
          {},
          svg(
            'pattern',
            { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
            svg('line', { x1: 0, y1: 0, x2: 0, y2: 7, stroke: 'var(--fault)', 'stroke-width': 1.6, opacity: 0.5 }),
          ),
        ),
      );
      const step =
        [1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 6e7, 3e8].find(
          (candidate) => (candidate / (to - from)) * (width - label) > 70,
        ) ?? 6e8;
      for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
        root.append(
          svg('line', { x1: x(at), x2: x(at), y1: 20, y2: height, stroke: 'var(--line)' }),
          svg('text', { x: x(at) + 3, y: 14, class: 'soft' }, seconds(at, step < 1e5 ? 2 : step < 1e6 ? 1 : 0)),
        );
      }
      let y = 24;
      view.lanes.forEach((lane, index) => {
        root.append(drawLane(lane, rows[index], y, heights[index], { x, clip, width, label }));
        y += heights[index];
      });
      for (const { at, phase } of view.phases) {
        if (at <= from || at >= to) continue;
        root.append(
          withTip(
            svg('line', {
              x1: x(at),
              x2: x(at),
              y1: 18,
              y2: height,
              stroke: 'var(--soft)',
              'stroke-dasharray': '2 4',
              'stroke-width': 1.5,
            }),
            `phase ${phase} from ${seconds(at)}`,
          ),
        );
      }
      for (const goal of run.goals) {
        if (goal.held || goal.micros === null || goal.micros < from || goal.micros > to) continue;
        root.append(
          withTip(
            svg('line', {
              x1: x(goal.micros),
              x2: x(goal.micros),
              y1: 16,
              y2: height,
              stroke: 'var(--bad)',
              'stroke-width': 2.5,
              tabindex: 0,
            }),
            `${goal.name} at ${seconds(goal.micros, 6)}: ${goal.because}`,
          ),
          svg('text', { x: Math.min(x(goal.micros) + 5, width - 60), y: 14, style: 'fill: var(--bad); font-weight: 700' }, goal.name),
        );
      }
      listen(root, x, label, width);
      const focused = holder.contains(document.activeElement);
      holder.replaceChildren(root);
      if (focused) root.focus();
    }

    function drawLane(lane, laneRows, top, height, { x, clip, width, label }) {
      const group = svg('g', { 'data-machine': lane.machine.machine, class: 'lane' });
      group.append(svg('line', { x1: 0, x2: width, y1: top, y2: top, stroke: 'var(--line)' }));
      for (const band of lane.bands) {
        if (band.to < from || band.from > to) continue;
        group.append(
          withTip(
            svg('rect', {
              x: clip(band.from),
              y: top + 8,
              width: Math.max(1, clip(band.to) - clip(band.from)),
              height: BAND,
              fill: `var(--${band.state})`,
            }),
            `${lane.machine.machine} ${band.state} from ${seconds(band.from)} to ${seconds(band.to)}: ${band.why}`,
          ),
        );
      }
      lane.bars.forEach((bar, i) => {
        if (bar.to < from || bar.from > to) return;
        const barTop = top + 8 + BAND + 4 + laneRows[i] * ROW;
        const left = clip(bar.from);
        const wide = Math.max(2, clip(bar.to) - left);
        const name = `${bar.instance} v${bar.version} e${bar.epoch}`;
        group.append(
          withTip(
            svg('rect', { x: left, y: barTop, width: wide, height: ROW - 3, rx: 3, fill: 'var(--bar)', opacity: 0.92 }),
            `${name} on ${lane.machine.machine} from ${seconds(bar.from, 3)} to ${seconds(bar.to, 3)}${bar.why ? `: ${bar.why}` : ''}`,
          ),
        );
        if (wide > name.length * 6.4)
          group.append(
            svg('text', { x: left + 5, y: barTop + 11, style: 'fill: var(--bar-ink); font-size: 10.5px; pointer-events: none' }, name),
          );
      });
      drawHistogram(group, lane, top + height - 4, { x, label, width });
      for (const fault of view.faults.filter((candidate) => concerns(candidate, lane.machine))) {
        if (fault.to < from || fault.from > to) continue;
        group.append(
          withTip(
            svg('rect', {
              x: clip(fault.from),
              y: top + 2,
              width: Math.max(3, clip(fault.to) - clip(fault.from)),
              height: height - 4,
              fill: 'url(#hatch)',
              stroke: 'var(--fault)',
              'stroke-opacity': 0.5,
              'stroke-width': 1,
              tabindex: 0,
            }),
            `fault ${fault.kind} on ${fault.target} from ${seconds(fault.from, 3)} to ${seconds(fault.to, 3)} ${fault.detail}`,
          ),
        );
      }
      for (const mark of lane.marks) {
        if (mark.at < from || mark.at > to) continue;
        const [sign, colour] = MARK_LOOKS[mark.kind] ?? ['•', '--ink'];
        group.append(
          withTip(
            svg(
              'text',
              { x: x(mark.at), y: top + 18, 'text-anchor': 'middle', style: `fill: var(${colour}); font-size: 12px; cursor: default` },
              sign,
            ),
            `${seconds(mark.at, 3)} ${mark.text}`,
          ),
        );
      }
      group.append(
        svg('rect', { x: 0, y: top + 1, width: label - 4, height: height - 1, fill: 'var(--card)' }),
        svg('text', { x: 10, y: top + 18, style: 'font-weight: 600' }, lane.machine.machine),
        svg('text', { x: 10, y: top + 33, class: 'soft' }, `${lane.machine.zone}`.slice(0, label < 100 ? 10 : 18)),
      );
      if (height > 58) group.append(svg('text', { x: 10, y: top + 48, class: 'soft' }, lane.machine.architecture));
      return group;
    }

    function drawHistogram(group, lane, bottom, { x, label, width }) {
      const bins = Math.max(10, Math.floor((width - label) / 5));
      const counts = new Array(bins).fill(0);
      const bad = new Array(bins).fill(0);
      const bin = (at) => Math.min(bins - 1, Math.floor(((at - from) / (to - from)) * bins));
      for (const at of lane.completed) if (at >= from && at <= to) counts[bin(at)]++;
      for (const at of lane.failed) if (at >= from && at <= to) bad[bin(at)]++;
      const most = Math.max(1, ...counts.map((n, i) => n + bad[i]));
      counts.forEach((n, i) => {
        if (n + bad[i] === 0) return;
        const left = x(from + ((to - from) * i) / bins);
        const good = (n / most) * (HISTOGRAM - 4);
        const wrong = (bad[i] / most) * (HISTOGRAM - 4);
        const text = `${n} invocation${n === 1 ? '' : 's'} completed${bad[i] ? `, ${bad[i]} failed` : ''} around ${seconds(from + ((to - from) * (i + 0.5)) / bins)}`;
        if (n) group.append(withTip(svg('rect', { x: left, y: bottom - good, width: 4, height: good, fill: 'var(--tick)' }), text));
        if (bad[i])
          group.append(
            withTip(
              svg('rect', { x: left, y: bottom - good - wrong, width: 4, height: Math.max(2, wrong), fill: 'var(--tick-bad)' }),
              text,
            ),
          );
      });
    }

    function zoom(factor, around = (from + to) / 2) {
      const length = Math.min(view.endMicros, Math.max(2_000, (to - from) * factor));
      const share = (around - from) / (to - from);
      from = Math.max(0, Math.min(view.endMicros - length, around - share * length));
      to = from + length;
      draw();
    }
    function move(share) {
      const by = (to - from) * share;
      const length = to - from;
      from = Math.max(0, Math.min(view.endMicros - length, from + by));
      to = from + length;
      draw();
    }
    function all() {
      from = 0;
      to = view.endMicros || 1;
      draw();
    }

    function listen(root, x, label, width) {
      const timeAt = (event) => {
        const box = root.getBoundingClientRect();
        const px = ((event.clientX - box.left) / box.width) * width;
        return from + ((px - label) / (width - label - 8)) * (to - from);
      };
      root.addEventListener(
        'wheel',
        (event) => {
          if (
            !event.ctrlKey &&
            !event.metaKey &&
            !event.shiftKey &&
            Math.abs(event.deltaY) > Math.abs(event.deltaX) &&
            !root.matches(':focus')
          )
            return;
          event.preventDefault();
          zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
        },
        { passive: false },
      );
      let start = null;
      root.addEventListener('pointerdown', (event) => {
        start = { x: event.clientX, from, to, moved: false };
      });
      root.addEventListener('pointermove', (event) => {
        if (start === null || event.buttons === 0 || Math.abs(event.clientX - start.x) < 4) return;
        start.moved = true;
      });
      root.addEventListener('pointerup', (event) => {
        if (start?.moved) move(((start.x - event.clientX) / (root.getBoundingClientRect().width || 1)) * 1.1);
        else {
          const lane = event.target.closest('.lane');
          if (lane !== null) showLog(lane.dataset.machine, Math.max(0, timeAt(event)));
        }
        start = null;
      });
      root.addEventListener('keydown', (event) => {
        const act = {
          '+': () => zoom(0.6),
          '=': () => zoom(0.6),
          '-': () => zoom(1.6),
          ArrowLeft: () => move(-0.2),
          ArrowRight: () => move(0.2),
          0: all,
        }[event.key];
        if (act === undefined) return;
        event.preventDefault();
        act();
      });
    }

    const observer = new ResizeObserver(() => {
      if (holder.isConnected) draw();
      else observer.disconnect();
    });
    observer.observe(holder);
    const button = (text, name, act) => el('button', { type: 'button', 'aria-label': name, click: act }, text);
    return el(
      'div',
      {},
      el(
        'div',
        { class: 'bar' },
        button('+', 'Zoom in', () => zoom(0.6)),
        button('−', 'Zoom out', () => zoom(1.6)),
        button('←', 'Earlier', () => move(-0.25)),
        button('→', 'Later', () => move(0.25)),
        button('All', 'Show everything', all),
        el(
          'span',
          { class: 'soft wide' },
          'Click a lane to see its records at that time; drag to move; wheel zooms when the timeline has the focus.',
        ),
      ),
      holder,
      el(
        'div',
        { class: 'legend' },
        STATES.map((state) => el('span', {}, el('i', { style: `background: var(--${state})` }), state)),
        el(
          'span',
          {},
          el('i', { style: 'background: repeating-linear-gradient(45deg, var(--fault) 0 2px, transparent 2px 5px)' }),
          'fault',
        ),
        el('span', {}, el('i', { style: 'background: var(--bar)' }), 'instance, version, epoch'),
        el('span', {}, el('i', { style: 'background: var(--tick)' }), 'invocations'),
        Object.entries(MARK_LOOKS).map(([kind, [sign, colour]]) =>
          el('span', {}, el('b', { style: `color: var(${colour})` }, `${sign} `), kind),
        ),
      ),
    );
  }

  /** Faults name a machine, or zones on two sides, in their target. */
  function concerns(fault, machine) {
    const words = fault.target.split(/[\s,|<>↔–-]*\s[\s,|<>↔]*|,|\|/).map((word) => word.trim());
    return words.some((word) => word === machine.machine || word === machine.zone || (word !== '' && machine.zone.startsWith(`${word}/`)));
  }

  // ---- records
  const LINES_SHOWN = 600;
  function logOf(view) {
    const sources = [...new Set(view.log.map(([, source]) => source))].sort();
    const kinds = [...new Set(view.log.map(([, , kind]) => kind))].sort();
    const source = el(
      'select',
      { 'aria-label': 'Machine', change: () => render() },
      el('option', { value: '' }, 'every machine'),
      sources.map((name) => el('option', { value: name }, name)),
    );
    const kind = el(
      'select',
      { 'aria-label': 'Kind', change: () => render() },
      el('option', { value: '' }, 'every kind'),
      kinds.map((name) => el('option', { value: name }, name)),
    );
    const text = el('input', { type: 'search', placeholder: 'text', 'aria-label': 'Text', input: () => render() });
    const count = el('span', { class: 'soft' });
    const body = el('tbody');
    const box = el('div', { class: 'log', tabindex: 0, 'aria-label': 'Records' }, el('table', {}, body));
    let after = 0;
    function render() {
      const wanted = text.value.toLowerCase();
      const matching = view.log.filter(
        ([, from, what, said]) =>
          (source.value === '' || from === source.value || said.includes(`=${source.value}`)) &&
          (kind.value === '' || what === kind.value) &&
          (wanted === '' || `${from} ${what} ${said}`.toLowerCase().includes(wanted)),
      );
      const first = Math.max(
        0,
        matching.findIndex(([at]) => at >= after),
      );
      const shown = matching.slice(first, first + LINES_SHOWN);
      count.textContent = `showing ${shown.length} of ${matching.length} matching; this file keeps ${view.log.length} of ${view.logTotal} records, run.jsonl all of them`;
      body.replaceChildren(
        ...shown.map(([at, from, what, said]) =>
          el(
            'tr',
            {},
            el('td', {}, (at / 1e6).toFixed(6)),
            el('td', {}, from),
            el('td', { class: /refused|fenced|deadletter|lost|lapsed/.test(what + said) ? 'far' : '' }, `${what} ${said}`),
          ),
        ),
      );
      box.scrollTop = 0;
    }
    const fromStart = el(
      'button',
      {
        type: 'button',
        click: () => {
          after = 0;
          render();
        },
      },
      'From the start',
    );
    render();
    return {
      node: el('div', {}, el('div', { class: 'bar' }, source, kind, text, fromStart, count), box),
      show(machine, micros) {
        source.value = sources.includes(machine) ? machine : '';
        after = micros;
        render();
        box.scrollIntoView({ behavior: 'smooth', block: 'nearest' });
      },
    };
  }

  page.append(header(), scenarios(), runCard, tip);
  const [wantedScenario, wantedSeed] = decodeURIComponent(location.hash.slice(1)).split('/');
  const hashed = views.findIndex((view) => view.scenario === wantedScenario && view.seed === wantedSeed);
  const failing = views.findIndex((view) =>
    suite.runs.some((run) => run.scenario === view.scenario && run.seed === view.seed && run.verdict !== 'held'),
  );
  choose(hashed >= 0 ? hashed : failing >= 0 ? failing : 0);
})();
