// The fleet at a moment of the run: a schematic map, zones where they are and machines in them, and a table. A slider goes
// through the run.
// @ts-check
import { el, moment, showTips, svg, table, withTip } from './parts.js';

/** @typedef {import('../timeline.ts').RunView} RunView */
/** @typedef {import('../timeline.ts').Lane} Lane */
/** @typedef {{ readonly lane: Lane, readonly state: string, readonly serving: readonly string[], readonly faults: readonly string[] }} Seen */
/** @typedef {{ readonly zone: string, readonly members: readonly Seen[], readonly wide: number, readonly high: number, readonly columns: number, x: number, y: number }} Zone */

const WIDTH = 560;
const HEIGHT = 330;
const CELL = 62;
const CELL_SMALL = 20;
/** Above this many machines the map leaves out their names. */
const NAMED_MAX = 40;
const SPREADING_ROUNDS = 80;

/**
 * @param {RunView} view
 * @param {(micros: number) => void} pick
 */
export function fleetOf(view, pick) {
  const map = el('div', { class: 'map' });
  const list = el('div');
  const said = el('output', {}, '');
  const slider = el('input', {
    type: 'range',
    min: 0,
    max: view.endMicros,
    step: 1_000,
    'aria-label': 'Moment of the run',
    input: () => pick(Number(slider.value)),
  });
  showTips(map);
  return {
    node: el(
      'div',
      {},
      el('div', { class: 'bar travel' }, el('label', {}, 'at ', said), slider),
      el('div', { class: 'columns' }, map, list),
    ),
    /** @param {number} micros */
    point(micros) {
      const seen = view.lanes.map((lane, index) => look(view, lane, index, micros));
      slider.value = String(micros);
      slider.setAttribute('aria-valuetext', moment(micros));
      said.textContent = moment(micros);
      map.replaceChildren(drawMap(seen, micros));
      list.replaceChildren(drawTable(seen));
    },
  };
}

/** @param {RunView} view @param {Lane} lane @param {number} index @param {number} micros @returns {Seen} */
function look(view, lane, index, micros) {
  const during = (/** @type {{ readonly from: number, readonly to: number }} */ span) =>
    span.from <= micros && (micros < span.to || span.to === view.endMicros);
  return {
    lane,
    state: lane.bands.findLast((band) => band.from <= micros)?.state ?? 'starting',
    serving: lane.bars.filter(during).map((bar) => `${bar.instance} v${bar.version} e${bar.epoch}`),
    faults: view.faults.filter((fault) => fault.lanes.includes(index) && during(fault)).map((fault) => fault.kind),
  };
}

/** @param {readonly Seen[]} seen */
function drawTable(seen) {
  const rows = seen.map(({ lane: { machine }, state, serving, faults }) =>
    el(
      'tr',
      {},
      el('td', {}, el('b', {}, machine.machine), el('div', { class: 'soft' }, `${machine.zone}, ${machine.architecture}`)),
      el(
        'td',
        {},
        el('i', { class: 'dot', style: `background: var(--${state})` }),
        state,
        faults.length > 0 ? el('div', { class: 'far' }, [...new Set(faults)].join(', ')) : null,
      ),
      el('td', {}, serving.length === 0 ? el('span', { class: 'soft' }, '–') : serving.map((name) => el('div', {}, name))),
    ),
  );
  return table(
    'Machines',
    [
      ['machine', ''],
      ['state', ''],
      ['serves', ''],
    ],
    rows,
  );
}

/** @param {readonly Seen[]} seen @param {number} micros */
function drawMap(seen, micros) {
  const small = seen.length > NAMED_MAX;
  const cell = small ? CELL_SMALL : CELL;
  const zones = placeZones(seen, cell, small ? CELL_SMALL : 46);
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `Map of the fleet at ${moment(micros)}` });
  for (const zone of zones) {
    const left = zone.x - zone.wide / 2;
    const top = zone.y - zone.high / 2;
    root.append(
      svg('rect', { class: 'zone', x: left, y: top, width: zone.wide, height: zone.high, rx: 9 }),
      svg('text', { class: 'soft', x: left + 9, y: top + 15 }, zone.zone),
    );
    zone.members.forEach((one, i) => {
      const x = zone.x + cell * ((i % zone.columns) + 0.5 - zone.columns / 2);
      const y = top + 34 + Math.floor(i / zone.columns) * (small ? CELL_SMALL : 46);
      root.append(drawMachine(one, x, y, small));
    });
  }
  return root;
}

/** @param {Seen} seen @param {number} x @param {number} y @param {boolean} small */
function drawMachine({ lane, state, serving, faults }, x, y, small) {
  const { machine, role } = lane.machine;
  const r = small ? 6 : 9;
  const look = { class: faults.length > 0 ? 'machine hit' : 'machine', fill: `var(--${state})` };
  const shape =
    role === 'controller'
      ? svg('rect', { x: x - r, y: y - r, width: 2 * r, height: 2 * r, rx: 3, ...look })
      : svg('circle', { cx: x, cy: y, r, ...look });
  const does = serving.length > 0 ? `, serves ${serving.join(', ')}` : '';
  const hit = faults.length > 0 ? `, under ${faults.join(', ')}` : '';
  const group = svg('g', {}, withTip(shape, `${machine}, ${role}: ${state}${hit}${does}`, 'keyboard'));
  if (small) return group;
  group.append(svg('text', { x, y: y + r + 13, 'text-anchor': 'middle' }, machine.length > 10 ? `${machine.slice(0, 9)}…` : machine));
  if (serving.length > 0) group.append(svg('text', { class: 'on-instance', x, y: y + 4, 'text-anchor': 'middle' }, String(serving.length)));
  return group;
}

/**
 * Zones where they lie to each other, in a plane; those that would cover each other are moved apart.
 * @param {readonly Seen[]} seen
 * @param {number} cell
 * @param {number} rowHeight
 */
function placeZones(seen, cell, rowHeight) {
  /** @type {Map<string, Seen[]>} */
  const groups = new Map();
  for (const one of seen) groups.set(one.lane.machine.zone, [...(groups.get(one.lane.machine.zone) ?? []), one]);
  const mean = (/** @type {readonly number[]} */ values) => values.reduce((total, value) => total + value, 0) / (values.length || 1);
  const north = mean(seen.map(({ lane }) => lane.machine.latitude));
  const zones = [...groups].map(([zone, members]) => {
    const columns = Math.max(1, Math.min(members.length, Math.ceil(Math.sqrt(members.length * 1.6))));
    const wide = Math.max(zone.length * 6.4 + 18, columns * cell + 8);
    const x = mean(members.map(({ lane }) => lane.machine.longitude)) * Math.cos((north * Math.PI) / 180);
    const y = -mean(members.map(({ lane }) => lane.machine.latitude));
    return { zone, members, columns, wide, high: 26 + Math.ceil(members.length / columns) * rowHeight, x, y };
  });
  const [west, east] = [Math.min(...zones.map(({ x }) => x)), Math.max(...zones.map(({ x }) => x))];
  const [top, low] = [Math.min(...zones.map(({ y }) => y)), Math.max(...zones.map(({ y }) => y))];
  const scale = Math.min((WIDTH - 170) / (east - west || 1e-9), (HEIGHT - 120) / (low - top || 1e-9));
  for (const zone of zones) {
    zone.x = WIDTH / 2 + (zone.x - (west + east) / 2) * scale;
    zone.y = HEIGHT / 2 + (zone.y - (top + low) / 2) * scale;
  }
  for (let round = 0; round < SPREADING_ROUNDS; round++) spread(zones);
  return zones;
}

/** One step apart, along the axis on which less is missing, and back into the map. @param {readonly Zone[]} zones */
function spread(zones) {
  zones.forEach((a, i) => {
    for (const b of zones.slice(i + 1)) {
      const dx = b.x - a.x;
      const dy = b.y - a.y;
      const overX = (a.wide + b.wide) / 2 + 12 - Math.abs(dx);
      const overY = (a.high + b.high) / 2 + 10 - Math.abs(dy);
      if (overX <= 0 || overY <= 0) continue;
      if (overX < overY) {
        a.x -= ((dx < 0 ? -1 : 1) * overX) / 2;
        b.x += ((dx < 0 ? -1 : 1) * overX) / 2;
      } else {
        a.y -= ((dy < 0 ? -1 : 1) * overY) / 2;
        b.y += ((dy < 0 ? -1 : 1) * overY) / 2;
      }
    }
  });
  for (const zone of zones) {
    zone.x = Math.max(zone.wide / 2 + 6, Math.min(WIDTH - zone.wide / 2 - 6, zone.x));
    zone.y = Math.max(zone.high / 2 + 6, Math.min(HEIGHT - zone.high / 2 - 6, zone.y));
  }
}
