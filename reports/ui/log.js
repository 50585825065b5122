// The records of one run, filtered by machine, kind and text, with an honest count of what is shown and what there was.
// @ts-check
import { count, el, readable } from './parts.js';

/** @typedef {import('../timeline.ts').RunView} RunView */

/** Kinds, and the beginning of what they say, that one looks for when something went wrong. */
const ALARMING = /^(\S*\.(refused|fenced|deadlettered)|fault\.begun|crash) |^node\.status .*to=(suspect|unavailable)|=lapsed|level=error/;

/**
 * @param {RunView} view
 * @param {(micros: number) => void} pick
 */
export function logOf(view, pick) {
  const machine = choice('Machine', 'every machine', [...view.sources].sort());
  const kind = choice('Kind', 'every kind', [...view.kinds].sort());
  const text = el('input', { type: 'search', placeholder: 'text', 'aria-label': 'Text', input: render });
  const said = el('span', { class: 'soft shown', role: 'status' });
  const body = el('tbody');
  const head = ['time', 'machine', 'kind', 'record'].map((name) => el('th', { scope: 'col' }, name));
  const box = el(
    'div',
    { class: 'log', tabindex: 0, role: 'region', 'aria-label': 'Records' },
    el('table', {}, el('thead', {}, el('tr', {}, head)), body),
  );
  const clear = el('button', { type: 'button', click: reset }, 'Show all');

  /** @param {string} name @param {string} every @param {readonly string[]} values */
  function choice(name, every, values) {
    return el(
      'select',
      { 'aria-label': name, change: render },
      el('option', { value: '' }, every),
      values.map((value) => el('option', { value }, value)),
    );
  }

  /** Records that a machine wrote, or that name it. @param {string} name */
  function about(name) {
    return view.log.filter(([, source, , fields]) => view.sources[source] === name || ` ${fields} `.includes(`=${name} `));
  }

  function matching() {
    const wanted = text.value.toLowerCase();
    return (machine.value === '' ? view.log : about(machine.value)).filter(
      ([, source, what, fields]) =>
        (kind.value === '' || view.kinds[what] === kind.value) &&
        (wanted === '' || `${view.sources[source]} ${view.kinds[what]} ${fields} ${readable(fields)}`.toLowerCase().includes(wanted)),
    );
  }

  function render() {
    const lines = matching();
    const kept = view.log.length === view.logTotal ? '' : `; the run wrote ${count(view.logTotal)}, all of them in run.jsonl`;
    said.textContent = `showing ${count(lines.length)} of ${count(view.log.length)} records${kept}`;
    body.replaceChildren(
      ...lines.map(([at, source, what, fields]) => {
        const name = view.kinds[what] ?? '';
        return el(
          'tr',
          { 'data-at': at, class: ALARMING.test(`${name} ${fields}`) ? 'far' : null },
          el(
            'td',
            {},
            el('button', { type: 'button', class: 'link', title: 'Point at this moment', click: () => pick(at) }, (at / 1e6).toFixed(6)),
          ),
          el('td', {}, view.sources[source] ?? ''),
          el('td', {}, name),
          el('td', {}, readable(fields)),
        );
      }),
    );
    if (lines.length === 0)
      body.append(el('tr', {}, el('td', { colspan: 4, class: 'soft' }, 'No record matches; “Show all” clears the filters.')));
    box.scrollTop = 0;
  }

  function reset() {
    machine.value = '';
    kind.value = '';
    text.value = '';
    render();
  }

  render();
  return {
    node: el('div', {}, el('div', { class: 'bar' }, machine, kind, text, clear, said), box),
    /** Filters by the machine, when there is one, and goes to the first record from then on. @param {string | null} name @param {number} micros */
    show(name, micros) {
      reset();
      if (name !== null && view.sources.includes(name)) {
        machine.value = name;
        render();
      }
      const rows = [...body.rows];
      const row = rows.find((one) => Number(one.dataset['at']) >= micros) ?? rows.at(-1);
      row?.setAttribute('aria-current', 'true');
      if (row !== undefined) box.scrollTop = row.offsetTop - box.clientHeight / 3;
    },
  };
}
