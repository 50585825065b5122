// The message that a scenario is refused with: what is told of a file as a whole, and how much of it (H2.1).
import { describe, expect, it } from 'vitest';
import { loadText, SMALL } from '../../support/scenarios/files.ts';

function messageOf(text: string): string {
  const loaded = loadText(text);
  return loaded.ok ? '' : loaded.error.message;
}

describe('the message', () => {
  it('tells all mistakes at once, in the order of the file', () => {
    const loaded = loadText(
      SMALL.replace('duration: 10s', 'duration: 10').replace('within: 2s', 'within: soon').replace('tags: [calm]', 'tags: [Calm]'),
    );
    expect(loaded.ok).toBe(false);
    const lines = loaded.ok ? [] : loaded.error.message.split('\n');
    expect(lines[0]).toBe('3 mistakes in scenarios/catalogue/small.scenario.yaml:');
    expect(lines.slice(1, 4).map((line) => /:(\d+):\d+ {2}/.exec(line)?.[1])).toEqual(['3', '4', '25']);
  });

  it('is one where a choice does not fit', () => {
    expect(messageOf(SMALL.replace('crash: a-1, for: 2s', 'crash: a-1, for: evr'))).toMatch(/^One mistake/);
  });

  it('says that names were not looked up where the shape is wrong, and only there', () => {
    const left = '  further checks, as of names and times, were not made until these are mended';
    expect(messageOf(SMALL.replace('duration: 10s', 'duration: 10'))).toContain(left);
    const meant = messageOf(SMALL.replace('from: cloud/b', 'from: cloud/x'));
    expect(meant).toContain("unknown zone 'cloud/x'");
    expect(meant).not.toContain(left);
  });

  it('is bounded', () => {
    const many = SMALL.replace('tags: [calm]', `tags: [${Array.from({ length: 40 }, (_, i) => `"T ${i}"`).join(', ')}]`);
    const loaded = loadText(many);
    const lines = loaded.ok ? [] : loaded.error.message.trim().split('\n');
    expect(lines).toHaveLength(23);
    expect(lines[21]).toBe('  and 20 more');
  });

  it('says what an empty file lacks', () => {
    const loaded = loadText('');
    expect(loaded.ok ? '' : loaded.error.message).toContain(
      'small.scenario.yaml:1:1  the file is empty; expected a scenario with question',
    );
  });

  it.each([
    ['a list', '- question: Why?'],
    ['a text', 'What happens?'],
    ['a single value', '7'],
  ])('says that it found %s', (found, text) => {
    expect(messageOf(text)).toContain(
      `small.scenario.yaml:1:1  found ${found}, expected a map with question, requirements, duration, fleet, steps and goals`,
    );
  });

  it('names the fleet file when the mistake is in there', () => {
    const fleet =
      'controller: { zone: cloud/a }\nzones:\n  - { zone: cloud/a, location: [50, 8] }\nnodes:\n  - { node: a-1, zone: cloud/x }\n';
    const using = SMALL.replace(SMALL.slice(SMALL.indexOf('fleet:'), SMALL.indexOf('platform:')), 'fleet: mine\n');
    const loaded = loadText(using, () => ({ file: 'scenarios/fleets/mine.yaml', text: fleet }));
    expect(loaded.ok ? '' : loaded.error.message).toContain(
      "scenarios/fleets/mine.yaml:5:24  nodes[0].zone: unknown zone 'cloud/x'; did you mean 'cloud/a'?",
    );
  });
});
