// Lanes of the timeline: one machine each, with its states, instances, invocations and marks, drawn at a scale that the timeline
// gives. Knows nothing of zoom or pointer.
// @ts-check
import { el, moment, readable, svg, withTip } from './parts.js';

/** @typedef {import('../timeline.ts').RunView} RunView */
/** @typedef {import('../timeline.ts').Lane} Lane */
/** @typedef {import('../timeline.ts').Span} Fault */
/** @typedef {{ readonly lane: Lane, readonly index: number, readonly rows: readonly number[], readonly marksTop: number, readonly barsTop: number, readonly height: number }} LaidLane */
/**
 * What is shown of time, from and to in microseconds, and where: `x` of a time, the width of the labels, the whole width.
 * @typedef {{ readonly x: (micros: number) => number, readonly from: number, readonly to: number, readonly label: number, readonly width: number }} Scale
 */

export const STATES = ['healthy', 'starting', 'suspect', 'unavailable', 'draining', 'paused', 'off'];
/** Sign, colour and word of each kind of mark. @type {Readonly<Record<string, readonly [string, string, string]>>} */
const MARKS = {
  placement: ['◆', '--accent', 'placement'],
  version: ['▲', '--soft', 'version or command'],
  status: ['◐', '--warn', 'marked by the controller'],
  lease: ['◔', '--warn', 'lease lapsed'],
  fenced: ['⊘', '--warn', 'fenced effect'],
  refusal: ['✖', '--bad', 'refusal'],
  deadletter: ['☠', '--bad', 'dead letter'],
};
/** Bound: lanes drawn; those to which something happened come first. */
const LANES_DRAWN_MAX = 60;
const BAND = 15;
const MARK_ROW = 15;
const ROW = 17;
const HISTOGRAM = 20;

/** @param {Fault} fault */
export function describeFault(fault) {
  return `fault ${fault.kind} on ${fault.target} from ${moment(fault.from)} to ${moment(fault.to)}: ${readable(fault.detail)}`;
}

/**
 * Left edge and width of a span; null when it is outside of what is shown.
 * @param {{ readonly from: number, readonly to: number }} span
 * @param {number} least
 * @param {Scale} scale
 * @returns {[left: number, wide: number] | null}
 */
export function extentOf(span, least, scale) {
  if (span.to < scale.from || span.from > scale.to) return null;
  const left = scale.x(span.from);
  return [left, Math.max(least, scale.x(span.to) - left)];
}

/**
 * A label inside a box, where there is room for it; it stays in sight while a part of the box is.
 * @param {string} text
 * @param {string} looks
 * @param {readonly [left: number, wide: number]} box
 * @param {number} y
 * @param {Scale} scale
 */
export function inside(text, looks, [left, wide], y, scale) {
  const begin = Math.max(left, scale.label);
  const room = Math.min(left + wide, scale.width) - begin;
  return room < text.length * 6.2 + 10 ? [] : [svg('text', { x: begin + 6, y, class: looks }, text)];
}

/**
 * @param {LaidLane} laid
 * @param {number} top
 * @param {readonly Fault[]} faults
 * @param {Scale} scale
 */
export function drawLane({ lane, index, rows, marksTop, barsTop, height }, top, faults, scale) {
  const name = lane.machine.machine;
  const group = svg('g', { class: 'lane', 'data-machine': name });
  group.append(svg('rect', { class: 'ground', x: scale.label - 1, y: top, width: scale.width, height }));
  for (const band of lane.bands) {
    const box = extentOf(band, 1.5, scale);
    if (box === null) continue;
    const look = { class: 'band', fill: `var(--${band.state})`, 'data-at': band.from };
    const bar = svg('rect', { x: box[0], y: top + 7, width: box[1], height: BAND, ...look });
    const said = `${name} ${band.state} from ${moment(band.from)} to ${moment(band.to)}: ${band.why}`;
    group.append(withTip(bar, said, band.state !== 'healthy' && band.state !== 'starting' ? 'keyboard' : 'reader'));
    if (band.state !== 'healthy') group.append(...inside(band.state, 'on-band', box, top + 18, scale));
  }
  lane.bars.forEach((bar, i) => {
    const box = extentOf(bar, 3, scale);
    if (box === null) return;
    const y = top + barsTop + (rows[i] ?? 0) * ROW;
    const said = `${bar.instance} v${bar.version} e${bar.epoch}`;
    const why = bar.why ? `; it ended: ${bar.why}` : '';
    const rect = svg('rect', { x: box[0], y, width: box[1], height: ROW - 3, rx: 3, class: 'instance', 'data-at': bar.from });
    group.append(withTip(rect, `${said} on ${name} from ${moment(bar.from)} to ${moment(bar.to)}${why}`, 'keyboard'));
    group.append(...inside(said, 'on-bar', box, y + 11, scale));
  });
  if (lane.completed.length + lane.failed.length > 0) group.append(...histogram(lane, top + height - 5, scale));
  for (const fault of faults) {
    const box = fault.lanes.includes(index) ? extentOf(fault, 3, scale) : null;
    if (box !== null) group.append(svg('rect', { x: box[0], y: top + 2, width: box[1], height: height - 3, class: 'fault' }));
  }
  group.append(...marksOf(lane, top + marksTop + 11, scale));
  return group;
}

/** Marks of a kind that would cover each other are one, which says how many. @param {Lane} lane @param {number} y @param {Scale} scale */
function marksOf(lane, y, scale) {
  /** @type {Map<string, { x: number, at: number, kind: string, texts: string[] }>} */
  const last = new Map();
  const all = [];
  for (const mark of lane.marks) {
    if (mark.at < scale.from || mark.at > scale.to) continue;
    const x = scale.x(mark.at);
    const near = last.get(mark.kind);
    if (near !== undefined && x - near.x < 11) {
      near.texts.push(mark.text);
      continue;
    }
    const begun = { x, at: mark.at, kind: mark.kind, texts: [mark.text] };
    last.set(mark.kind, begun);
    all.push(begun);
  }
  return all.map(({ x, at, kind, texts }) => {
    const [sign = '•', colour = '--ink', word = kind] = MARKS[kind] ?? [];
    const more = texts.length > 1 ? ` (and ${texts.length - 1} more close by)` : '';
    const node = svg('text', { x, y, class: 'mark', style: `fill: var(${colour})`, 'data-at': at }, sign);
    return withTip(node, `${word} at ${moment(at)}: ${readable(texts[0] ?? '')}${more}`, all.length <= 40 ? 'keyboard' : 'reader');
  });
}

/** @param {Lane} lane @param {number} bottom @param {Scale} scale */
function histogram(lane, bottom, scale) {
  const { from, to } = scale;
  const bins = Math.max(10, Math.floor((scale.width - scale.label - 10) / 6));
  const length = (to - from) / bins;
  const columns = Array.from({ length: bins }, () => ({ completed: 0, failed: 0 }));
  const columnAt = (/** @type {number} */ at) =>
    at < from || at > to ? undefined : columns[Math.min(bins - 1, Math.floor((at - from) / length))];
  for (const at of lane.completed) {
    const column = columnAt(at);
    if (column !== undefined) column.completed += lane.each;
  }
  for (const at of lane.failed) {
    const column = columnAt(at);
    if (column !== undefined) column.failed += 1;
  }
  const most = Math.max(1, ...columns.map(({ completed, failed }) => completed + failed));
  return columns.flatMap(({ completed, failed }, i) => {
    const begin = from + length * i;
    const text = `${completed} completed, ${failed} failed from ${moment(begin)} to ${moment(begin + length)}`;
    let base = bottom;
    return /** @type {const} */ ([
      ['completed', completed],
      ['failed', failed],
    ]).flatMap(([looks, value]) => {
      if (value === 0) return [];
      const high = Math.max(2, (value / most) * (HISTOGRAM - 4));
      base -= high;
      return [
        withTip(svg('rect', { x: scale.x(begin), y: base, width: 4.5, height: high, class: looks, 'data-at': begin }), text, 'pointer'),
      ];
    });
  });
}

/** @param {Lane} lane @param {number} top @param {number} height @param {number} label @param {number} width */
export function laneLabel(lane, top, height, label, width) {
  const { machine, zone, architecture } = lane.machine;
  const most = Math.floor((label - 18) / 6.4);
  const cut = (/** @type {string} */ text) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  // Zones differ at their end.
  const cutZone = zone.length > most ? `…${zone.slice(1 - most)}` : zone;
  const group = svg('g', { class: 'lane', 'data-machine': machine });
  group.append(
    svg('line', { class: 'rule', x1: 0, x2: width, y1: top, y2: top }),
    svg('rect', { class: 'ground', x: 0, y: top, width: label, height }),
    svg('text', { x: 12, y: top + 19, class: 'strong' }, cut(machine)),
  );
  if (height >= 42) group.append(svg('text', { x: 12, y: top + 34, class: 'soft' }, cutZone));
  if (height >= 58) group.append(svg('text', { x: 12, y: top + 49, class: 'soft' }, cut(architecture)));
  return withTip(group, `${machine}, ${lane.machine.role} in ${zone}, ${architecture}`);
}

/** The row of each span, so that none covers another. @param {readonly { readonly from: number, readonly to: number }[]} spans */
export function rowsOf(spans) {
  /** @type {number[]} */
  const ends = [];
  return spans.map(({ from, to }) => {
    const free = ends.findIndex((end) => end <= from);
    const row = free < 0 ? ends.length : free;
    ends[row] = Math.max(to, from + 1);
    return row;
  });
}

/** @param {RunView} view @param {number} index @returns {LaidLane} */
export function layOut(view, index) {
  const lane = /** @type {Lane} */ (view.lanes[index]);
  const rows = rowsOf(lane.bars);
  const marksTop = 7 + BAND + 1;
  const barsTop = marksTop + (lane.marks.length > 0 ? MARK_ROW : 4);
  const busy = lane.completed.length + lane.failed.length > 0;
  const height = Math.max(42, barsTop + (rows.length > 0 ? (Math.max(...rows) + 1) * ROW : 0) + (busy ? HISTOGRAM + 4 : 0) + 6);
  return { lane, index, rows, marksTop, barsTop, height };
}

/** @param {RunView} view */
export function lanesDrawn(view) {
  const all = view.lanes.map((_lane, i) => i);
  if (all.length <= LANES_DRAWN_MAX) return all;
  const busy = (/** @type {number} */ i) => {
    const lane = /** @type {Lane} */ (view.lanes[i]);
    return (
      Number(view.faults.some((fault) => fault.lanes.includes(i))) * 4 + Number(lane.bands.length > 2) * 2 + Number(lane.bars.length > 0)
    );
  };
  return [...all]
    .sort((a, b) => busy(b) - busy(a) || a - b)
    .slice(0, LANES_DRAWN_MAX)
    .sort((a, b) => a - b);
}

export function legend() {
  const swatch = (/** @type {string} */ style, /** @type {string} */ name) => el('li', {}, el('i', { style }), name);
  return el(
    'ul',
    { class: 'legend', 'aria-label': 'Legend' },
    STATES.map((state) => swatch(`background: var(--${state})`, state)),
    swatch('background: repeating-linear-gradient(45deg, var(--fault) 0 2px, transparent 2px 5px)', 'fault'),
    swatch('background: var(--instance)', 'instance, version, epoch'),
    swatch('background: var(--tick)', 'invocations'),
    Object.values(MARKS).map(([sign, colour, word]) => el('li', {}, el('b', { style: `color: var(${colour})` }, `${sign} `), word)),
  );
}
