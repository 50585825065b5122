// Parts that every view of the page is made of: elements, times and figures in words, the tooltip, a command to copy. No
// framework and no network: the file is all there is.
// @ts-check

/** @typedef {import('../../scenarios/record.ts').Verdict} Verdict */
/** @typedef {Node | string | null} Child */

/** @type {Readonly<Record<Verdict, string>>} */
const VERDICT_MARKS = {
  held: '✔',
  violated: '✖',
  unconverged: '✖',
  nondeterministic: '✖',
  bug: '✖',
  rejected: '!',
  cancelled: '–',
};

/**
 * An element with attributes and children; functions become listeners; null, undefined and false are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} node
 * @param {Record<string, unknown>} attributes
 * @param {readonly (Child | readonly Child[])[]} children
 * @returns {E}
 */
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(key, /** @type {EventListener} */ (value));
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? '' : String(value));
  }
  for (const child of children.flat()) if (child !== null) node.append(child);
  return node;
}

/**
 * A table that scrolls by itself when it is wider than its place; `name` is for those who hear it.
 * @param {string} name
 * @param {readonly (readonly [heading: string, looks: string])[]} columns
 * @param {readonly Child[]} rows
 */
export function table(name, columns, rows) {
  const head = columns.map(([heading, looks]) => el('th', { class: looks, scope: 'col' }, heading));
  return el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      { 'aria-label': name, class: name.split(' ', 1)[0]?.toLowerCase() },
      el('thead', {}, el('tr', {}, head)),
      el('tbody', {}, rows),
    ),
  );
}

/** @param {Verdict} word */
export function pill(word) {
  return el('span', { class: `pill ${word}` }, `${VERDICT_MARKS[word]} ${word}`);
}

/** @param {readonly number[]} values */
export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString('en');
}

/** `13.465 s`: a moment of the run. @param {number} micros @param {number} [digits] */
export function moment(micros, digits = 3) {
  return `${(micros / 1e6).toFixed(digits)} s`;
}

/** `860 µs`, `8.86 ms`, `1.2 s`, `2 min 5 s`: how long something took. @param {number} micros */
export function lasting(micros) {
  if (micros === 0) return '0 s';
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  if (micros < 1e6) return `${+(micros / 1_000).toPrecision(3)} ms`;
  if (micros < 120e6) return `${+(micros / 1e6).toPrecision(3)} s`;
  return `${Math.floor(micros / 60e6)} min ${Math.round((micros % 60e6) / 1e6)} s`;
}

/** Microseconds in a text, in words: `for 9000000 µs` is `for 9 s`. @param {string} text */
export function readable(text) {
  return text.replace(/(\d{4,}) (?:µs|us)\b/g, (_all, digits) => lasting(Number(digits)));
}

const UNIT = /(?:^m|M)(icros|s)(?=[A-Z]|$)/;

/** `p99Micros` 8860 is `p99` and `8.86 ms`. @param {string} name @param {number} value */
export function figureWords(name, value) {
  const unit = UNIT.exec(name)?.[1];
  const words = name.replace(UNIT, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const said =
    unit === undefined ? count(Number.isInteger(value) ? value : +value.toFixed(2)) : lasting(unit === 's' ? value * 1_000 : value);
  return /** @type {const} */ ([words.trim(), said]);
}

/** `p99 8.86 ms`. @param {string} name @param {number} value */
export function figure(name, value) {
  return figureWords(name, value).join(' ').trim();
}

/** @param {string} text The one command that reproduces a run, and a button that copies it. */
export function command(text) {
  const code = el('code', {}, text);
  const button = el('button', { type: 'button', 'aria-label': `Copy: ${text}`, click: copy }, 'Copy');
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = 'Copy'), 1_500);
    } catch {
      // Pages from a disk may not write the clipboard everywhere: the text is selected instead, ready for the keyboard.
      getSelection()?.selectAllChildren(code);
    }
  }
  return el('div', { class: 'command' }, code, button);
}

/** The one tooltip; it shows the label of what is under the pointer or has the focus. */
export const tip = el('div', { class: 'tip', role: 'tooltip', hidden: true });

/**
 * What `withTip` marked inside this node has a tooltip.
 * @param {Element} node
 */
export function showTips(node) {
  /** @param {Event} event */
  const show = (event) => {
    const marked = event.target instanceof Element ? event.target.closest('[data-tip]') : null;
    const text = marked?.getAttribute('aria-label') ?? null;
    if (marked === null || text === null) return hideTip();
    const box = marked.getBoundingClientRect();
    const pointer = event instanceof PointerEvent ? event : null;
    const x = pointer?.clientX ?? Math.max(0, box.left) + 8;
    const y = pointer?.clientY ?? box.bottom;
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(6, Math.min(innerWidth - tip.offsetWidth - 6, x + 14))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? Math.max(4, y - tip.offsetHeight - 10) : y + 18}px`;
  };
  node.addEventListener('pointermove', show);
  node.addEventListener('pointerleave', hideTip);
  node.addEventListener('focusin', show);
  node.addEventListener('focusout', hideTip);
}

export function hideTip() {
  tip.hidden = true;
}

/**
 * Says what this is to the eye on demand; and, unless it is one of hundreds, to the keyboard or at least to those who cannot
 * see it.
 * @template {Element} E
 * @param {E} node
 * @param {string} text
 * @param {'keyboard' | 'reader' | 'pointer'} [reach]
 * @returns {E}
 */
export function withTip(node, text, reach = 'reader') {
  node.setAttribute('data-tip', '');
  node.setAttribute('aria-label', text);
  if (reach === 'pointer') node.setAttribute('aria-hidden', 'true');
  else node.setAttribute('role', 'img');
  if (reach === 'keyboard') node.setAttribute('tabindex', '0');
  return node;
}
