// The page's parts that can be judged without a browser: that the modules join, that colours can be read, and what the data holds.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { htmlReport, joinModules, logLinesEach, type PageData } from '../../../reports/reporters/html.ts';
import { LOG_LINES_MAX } from '../../../reports/timeline.ts';
import { goal, run, suite } from './runs.ts';

const asset = (name: string): string => readFileSync(new URL(`../../../reports/ui/${name}`, import.meta.url), 'utf8');

function dataOf(html: string): PageData {
  const [, data = ''] = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(html) ?? [];
  return JSON.parse(data) as PageData;
}

describe('the data of the page', () => {
  test('cannot end its element, and comes back as it was', () => {
    const html = htmlReport(suite([run({ verdict: 'bug', trouble: '</script><script>alert(1)</script><!--\u2028' })]), [], {
      script: 'draw()',
      style: '',
    });
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).not.toContain('<!--');
    const { suite: told } = dataOf(html);
    expect(told.verdict).toBe('bug');
    expect(told.runs[0]?.cause).toBe('</script><script>alert(1)</script><!--\u2028');
  });

  test('has the goals of the first runs, and later only those that broke', () => {
    const broken = goal({ name: 'P2', held: false });
    const runs = Array.from({ length: 201 }, (_, n) => run({ seed: `0x${n}`, goals: [goal(), broken] }));
    const told = dataOf(htmlReport(suite(runs), [], { script: '', style: '' })).suite.runs;
    expect(told[199]?.goals.map(({ name }) => name)).toEqual(['P1', 'P2']);
    expect(told[200]?.goals.map(({ name }) => name)).toEqual(['P2']);
  });

  test('has what has to happen in some run, over all runs', () => {
    const claim = 'In some run it rains.';
    const runs = Array.from({ length: 201 }, (_, n) =>
      run({ seed: `0x${n}`, goals: [goal({ name: 'sometimes', claim, reached: n === 200 ? 4 : 0 })] }),
    );
    const told = dataOf(htmlReport(suite(runs), [], { script: '', style: '' })).suite.sometimes;
    expect(told).toEqual([{ scenario: 'node-failure', world: 'sim', claim, runs: 201, reached: 1, times: 4, firstSeed: '0x200' }]);
  });

  test('shares the log lines among the runs', () => {
    expect(logLinesEach(1)).toBe(LOG_LINES_MAX);
    expect(logLinesEach(33)).toBe(1_000);
    expect(logLinesEach(0)).toBe(LOG_LINES_MAX);
  });
});

describe('the scripts of the page', () => {
  test('join to one classic script, without the words of modules', () => {
    const joined = joinModules([
      "// @ts-check\nexport const a = 1;\n/** @typedef {import('./x.js').X} X */\nexport function b() {}\n",
      "import {\n  a,\n  b,\n} from './a.js';\nimport { c } from './c.js';\nb(a);\n",
    ]);
    expect(joined).not.toMatch(/^(import|export) /m);
    expect(joined).toContain('const a = 1;');
    expect(joined).toContain('b(a);');
  });
});

/** Colours of one scheme by name: those of the first :root, or those over which the dark one lays its own. */
function colours(scheme: 'light' | 'dark'): ReadonlyMap<string, string> {
  const [light = '', dark = ''] = [...asset('report.css').matchAll(/:root \{(.*?)\}/gs)].map(([, body]) => body ?? '');
  const read = (body: string) =>
    [...body.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name = '', value = '']) => [name, value] as const);
  return new Map(scheme === 'light' ? read(light) : [...read(light), ...read(dark)]);
}

/** Contrast of two colours as WCAG 2 defines it, from 1 to 21. */
function contrast(a: string, b: string): number {
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [high = 0, low = 0] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

describe.each(['light', 'dark'] as const)('%s colours', (scheme) => {
  const known = colours(scheme);
  const texts = ['ink', 'soft', 'good', 'bad', 'warn', 'accent', 'fault'].flatMap((text) =>
    ['card', 'sunk'].map((ground) => [text, ground] as const),
  );
  const states = ['healthy', 'starting', 'suspect', 'unavailable', 'draining', 'paused', 'off'].map((state) => ['ink', state] as const);
  test.each([
    ...texts,
    ...states,
    ['soft', 'ground'],
    ['bad', 'bad-ground'],
    ['on-instance', 'instance'],
    ['on-fault', 'fault'],
    ['card', 'bad'],
    ['card', 'ink'],
  ] as const)('%s can be read on %s', (text, ground) => {
    expect(contrast(known.get(text) ?? '', known.get(ground) ?? '')).toBeGreaterThanOrEqual(4.5);
  });
});
