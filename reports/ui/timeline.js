// The timeline of one run: faults, a lane for each machine, and how long answers took, over the same time; phases and breaches
// across them. Zooms, moves, and points to a time.
// @ts-check
import { describeFault, drawLane, extentOf, inside, laneLabel, lanesDrawn, layOut, legend, rowsOf } from './lanes.js';
import { count, el, hideTip, lasting, moment, showTips, sum, svg, withTip } from './parts.js';

/** @typedef {import('../timeline.ts').RunView} RunView */
/** @typedef {import('../timeline.ts').Span} Fault */
/** @typedef {import('../reporters/html.ts').PageRun} PageRun */
/** @typedef {import('./lanes.js').Scale} Scale */

const AXIS = 26;
const FAULT_ROW = 20;
const ANSWERS = 92;
/** The closest look, in microseconds. */
const LENGTH_LEAST = 2_000;
const STEPS = [200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 3e7, 6e7, 3e8, 6e8, 3.6e9];

/**
 * @param {RunView} view
 * @param {PageRun} run
 * @param {(machine: string | null, micros: number) => void} pick a time was chosen, on a lane or on none
 */
export function timelineOf(view, run, pick) {
  const end = view.endMicros || 1;
  let from = 0;
  let to = end;
  let cursor = 0;
  const lanes = lanesDrawn(view).map((index) => layOut(view, index));
  const faultRows = rowsOf(view.faults);
  const holder = el('div', { class: 'timeline' });
  const hover = svg('line', { class: 'hover', y1: AXIS, visibility: 'hidden' });
  const pointed = svg('line', { class: 'cursor', y1: 4 });
  /** @type {SVGSVGElement} */
  let root = svg('svg');
  /** @type {Scale} */
  let scale = { x: () => 0, from, to, label: 0, width: 0 };
  let frame = 0;

  function draw() {
    const width = Math.max(300, holder.clientWidth || 1_000);
    const label = width < 600 ? 88 : 124;
    // Far outside is as good as just outside, and keeps coordinates small when looked at from very close.
    const x = (/** @type {number} */ micros) =>
      Math.max(label - 40, Math.min(width + 40, label + ((micros - from) / (to - from)) * (width - label - 10)));
    scale = { x, from, to, label, width };
    const faultsTop = AXIS + (faultRows.length > 0 ? (Math.max(...faultRows) + 1) * FAULT_ROW + 6 : 0);
    const bottom = faultsTop + sum(lanes.map(({ height }) => height));
    const height = bottom + (view.answers.length > 0 ? ANSWERS : 0) + 4;
    root = svg('svg', {
      viewBox: `0 0 ${width} ${height}`,
      height,
      role: 'group',
      tabindex: 0,
      'aria-label': 'Timeline. Plus and minus zoom, the arrows move, 0 shows everything.',
    });
    const plot = svg('g', { 'clip-path': 'url(#plot)' });
    root.append(definitions(label, width, height), svg('g', { class: 'axis' }, axis(x, height)), plot);
    if (faultRows.length > 0) root.append(svg('text', { x: 12, y: AXIS + 14, class: 'soft' }, 'faults'));
    view.faults.forEach((fault, i) => plot.append(faultBar(fault, i)));
    let top = faultsTop;
    for (const laid of lanes) {
      plot.append(drawLane(laid, top, view.faults, scale));
      root.append(laneLabel(laid.lane, top, laid.height, label, width));
      top += laid.height;
    }
    if (view.answers.length > 0) {
      plot.append(drawAnswers(bottom));
      root.append(
        svg('line', { class: 'rule', x1: 0, x2: width, y1: bottom, y2: bottom }),
        svg('text', { x: 12, y: bottom + 18, class: 'strong' }, 'events'),
        svg('text', { x: 12, y: bottom + 33, class: 'soft' }, label < 90 ? 'until done' : 'accepted to done'),
      );
    }
    drawPhases(root, height);
    hover.setAttribute('y2', String(height));
    pointed.setAttribute('y2', String(height));
    plot.append(hover, pointed);
    drawBreaches(root, plot, height);
    placeCursor();
    listen(root);
    const focused = holder.contains(document.activeElement);
    holder.replaceChildren(root);
    if (focused) root.focus({ preventScroll: true });
  }

  function placeCursor() {
    pointed.setAttribute('transform', `translate(${scale.x(cursor)} 0)`);
  }

  /** @param {(micros: number) => number} x @param {number} height */
  function axis(x, height) {
    const step = STEPS.find((candidate) => (candidate / (to - from)) * (scale.width - scale.label) > 76) ?? 3.6e9;
    const digits = step >= 1e6 ? 0 : step >= 1e5 ? 1 : step >= 1e4 ? 2 : step >= 1e3 ? 3 : 4;
    const nodes = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const edge = x(at) > scale.width - 36;
      nodes.push(
        svg('line', { class: 'rule', x1: x(at), x2: x(at), y1: AXIS - 6, y2: height }),
        svg('text', { x: x(at) + (edge ? -4 : 4), y: 15, class: 'soft', 'text-anchor': edge ? 'end' : 'start' }, moment(at, digits)),
      );
    }
    return nodes;
  }

  /** A bar with its name inside; or beside it, where there is room up to the next one. @param {Fault} fault @param {number} i */
  function faultBar(fault, i) {
    const box = extentOf(fault, 4, scale);
    if (box === null) return svg('g');
    const row = faultRows[i] ?? 0;
    const top = AXIS + 2 + row * FAULT_ROW;
    const look = { rx: 3, class: 'fault-bar', 'data-at': fault.from };
    const bar = svg('rect', { x: box[0], y: top, width: box[1], height: FAULT_ROW - 4, ...look });
    const group = svg('g', {}, withTip(bar, describeFault(fault), 'keyboard'));
    const next = view.faults.find((_other, j) => j > i && faultRows[j] === row);
    const right = box[0] + box[1];
    const room = (next === undefined ? scale.width : scale.x(next.from)) - right;
    for (const text of [`${fault.kind} ${fault.target}`, fault.kind]) {
      const within = inside(text, 'on-fault', box, top + 12, scale);
      if (within.length > 0) {
        group.append(...within);
        return group;
      }
      if (right >= scale.label && room > text.length * 6.2 + 10) {
        group.append(svg('text', { x: right + 5, y: top + 12, class: 'beside' }, text));
        return group;
      }
    }
    return group;
  }

  /** A dot for each answer, on a logarithmic scale. @param {number} top */
  function drawAnswers(top) {
    const took = view.answers.map(([, micros]) => Math.max(100, micros));
    const low = Math.floor(Math.log10(Math.min(...took)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...took))));
    const y = (/** @type {number} */ micros) => top + ANSWERS - 6 - ((Math.log10(micros) - low) / (high - low)) * (ANSWERS - 24);
    const group = svg('g', {});
    for (let power = low; power <= high; power++) {
      const line = y(10 ** power);
      group.append(svg('line', { class: 'rule', x1: scale.label, x2: scale.width, y1: line, y2: line }));
      if ((high - power) % (high - low > 4 ? 2 : 1) === 0)
        group.append(svg('text', { x: scale.label + 4, y: line - 2, class: 'soft tick' }, lasting(10 ** power)));
    }
    // What would cover each other is one dot: drawing stays quick.
    const drawn = new Set();
    view.answers.forEach(([at, micros], i) => {
      if (at < from || at > to) return;
      const [cx, cy] = [scale.x(at), y(took[i] ?? 1)];
      const place = Math.round(cx / 2) * 1_000 + Math.round(cy / 2);
      if (drawn.has(place)) return;
      drawn.add(place);
      const dot = svg('circle', { cx: cx.toFixed(1), cy: cy.toFixed(1), r: 2.2, class: 'answer', 'data-at': at });
      group.append(withTip(dot, `event done at ${moment(at)}, ${lasting(micros)} after it was accepted`, 'pointer'));
    });
    return group;
  }

  /** @param {SVGSVGElement} into @param {number} height */
  function drawPhases(into, height) {
    for (const { at, phase } of view.phases) {
      if (at <= from || at >= to) continue;
      const line = svg('line', { class: 'phase', x1: scale.x(at), x2: scale.x(at), y1: AXIS - 4, y2: height, 'data-at': at });
      into.append(withTip(line, `phase ${phase} from ${moment(at)}`));
    }
  }

  /** @param {SVGSVGElement} into @param {SVGGElement} plot @param {number} height */
  function drawBreaches(into, plot, height) {
    for (const goal of run.goals) {
      if (goal.held || goal.micros === null || goal.micros < from || goal.micros > to) continue;
      const x = scale.x(goal.micros);
      const text = `${goal.name} ${goal.unconverged ? 'not reached' : 'broke'}`;
      const wide = text.length * 6.6 + 12;
      const left = Math.max(scale.label, Math.min(x - wide / 2, scale.width - wide - 2));
      const flag = svg('rect', { class: 'breach-flag', x: left, y: 2, width: wide, height: 18, rx: 4, 'data-at': goal.micros });
      plot.append(svg('line', { class: 'breach', x1: x, x2: x, y1: 16, y2: height }));
      into.append(
        withTip(flag, `${text} at ${moment(goal.micros, 6)}: ${goal.because}`, 'keyboard'),
        svg('text', { class: 'on-breach', x: left + wide / 2, y: 15 }, text),
      );
    }
  }

  /** @param {number} factor @param {number} [around] */
  function zoom(factor, around = cursor > from && cursor < to ? cursor : (from + to) / 2) {
    const length = Math.min(end, Math.max(LENGTH_LEAST, (to - from) * factor));
    const share = (around - from) / (to - from);
    show(around - share * length, length);
  }
  /** @param {number} begin @param {number} length */
  function show(begin, length) {
    from = Math.max(0, Math.min(end - length, begin));
    to = from + length;
    draw();
  }
  /** Many moves of a pointer are one drawing. */
  function drawSoon() {
    if (frame !== 0) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  }
  const move = (/** @type {number} */ share) => show(from + (to - from) * share, to - from);
  const all = () => show(0, end);

  /** @param {SVGSVGElement} node */
  function listen(node) {
    showTips(node);
    node.addEventListener('wheel', wheel, { passive: false });
    node.addEventListener('pointerdown', press);
    node.addEventListener('pointermove', follow);
    node.addEventListener('pointerleave', () => hover.setAttribute('visibility', 'hidden'));
    node.addEventListener('keydown', key);
  }
  /** @param {MouseEvent} event */
  function timeAt(event) {
    const box = root.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * scale.width;
    return Math.max(from, Math.min(to, from + ((x - scale.label) / (scale.width - scale.label - 10)) * (to - from)));
  }
  /** A page is scrolled by the wheel; a timeline that was clicked, or a wheel with a modifier, is zoomed. @param {WheelEvent} event */
  function wheel(event) {
    const meant = event.ctrlKey || event.metaKey || event.shiftKey || holder.contains(document.activeElement);
    if (!meant) return;
    event.preventDefault();
    const turned = event.deltaY || event.deltaX;
    if (turned !== 0) zoom(turned > 0 ? 1.25 : 0.8, timeAt(event));
  }
  /** @param {PointerEvent} event */
  function follow(event) {
    if (scale.label > event.clientX - root.getBoundingClientRect().left) return hover.setAttribute('visibility', 'hidden');
    hover.setAttribute('transform', `translate(${scale.x(timeAt(event))} 0)`);
    hover.setAttribute('visibility', 'visible');
  }
  /** @param {PointerEvent} event */
  function press(event) {
    if (event.button !== 0) return;
    const start = { x: event.clientX, from, moved: false };
    const stop = new AbortController();
    /** @param {PointerEvent} moved */
    const drag = (moved) => {
      if (!start.moved && Math.abs(moved.clientX - start.x) < 5) return;
      start.moved = true;
      hideTip();
      holder.classList.add('dragged');
      const perPixel = (to - from) / (root.getBoundingClientRect().width - scale.label - 10);
      const length = to - from;
      from = Math.max(0, Math.min(end - length, start.from - (moved.clientX - start.x) * perPixel));
      to = from + length;
      drawSoon();
    };
    const release = (/** @type {PointerEvent} */ released) => {
      stop.abort();
      holder.classList.remove('dragged');
      if (start.moved || released.type !== 'pointerup') return;
      const lane = event.target instanceof Element ? event.target.closest('[data-machine]') : null;
      pick(lane?.getAttribute('data-machine') ?? null, timeAt(released));
    };
    for (const [name, act] of /** @type {const} */ ([
      ['pointermove', drag],
      ['pointerup', release],
      ['pointercancel', release],
    ]))
      addEventListener(name, act, { signal: stop.signal });
  }
  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = event.target instanceof Element && event.key === 'Enter' ? event.target : null;
    const at = item?.getAttribute('data-at') ?? null;
    if (item !== null && at !== null) pick(item.closest('[data-machine]')?.getAttribute('data-machine') ?? null, Number(at));
    /** @type {Record<string, () => void>} */
    const keys = {
      '+': () => zoom(0.6),
      '=': () => zoom(0.6),
      '-': () => zoom(1.6),
      ArrowLeft: () => move(-0.2),
      ArrowRight: () => move(0.2),
      0: all,
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  new ResizeObserver(() => holder.isConnected && holder.clientWidth !== scale.width && draw()).observe(holder);
  const button = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act) =>
    el('button', { type: 'button', 'aria-label': name, title: name, click: act }, text);
  const left = view.lanes.length - lanes.length;
  const node = el(
    'div',
    {},
    el(
      'div',
      { class: 'bar' },
      button('+', 'Zoom in', () => zoom(0.6)),
      button('−', 'Zoom out', () => zoom(1.6)),
      button('←', 'Earlier', () => move(-0.25)),
      button('→', 'Later', () => move(0.25)),
      button('0', 'Show everything', all),
      el('span', { class: 'soft' }, 'Click a lane for its records at that time; drag to move; click, then turn the wheel to zoom.'),
    ),
    holder,
    left > 0 ? el('p', { class: 'soft' }, `${count(left)} more machines, to which nothing happened, are not drawn.`) : null,
    legend(),
  );
  return {
    node,
    /** @param {number} micros */
    point(micros) {
      cursor = micros;
      placeCursor();
    },
  };
}

/** @param {number} label @param {number} width @param {number} height */
function definitions(label, width, height) {
  const stripe = svg('line', { x1: 0, y1: 0, x2: 0, y2: 7, stroke: 'var(--fault)', 'stroke-width': 2, opacity: 0.45 });
  const hatch = { id: 'hatch', width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' };
  const plot = svg('clipPath', { id: 'plot' }, svg('rect', { x: label - 6, y: 0, width: width - label + 6, height }));
  return svg('defs', {}, svg('pattern', hatch, stripe), plot);
}
