// A manifest speaks the language of scenarios: the same fields, units and mistakes, without times.
import { describe, expect, it } from 'vitest';
import { loadManifest } from '../../../scenarios/manifest.ts';

const load = (text: string) => loadManifest({ file: 'app.yaml', text });

function mistakesOf(text: string): string {
  const loaded = load(text);
  if (loaded.ok) throw new Error('the manifest was accepted');
  expect(loaded.error.code).toBe('WM_DEPLOYMENT_INVALID');
  return loaded.error.message;
}

describe('a manifest', () => {
  it('gives deployments and triggers with every default filled in', () => {
    const loaded = load(
      '- { deploy: brake, origin: cloud/eu, replicas: 2, spread: node }\n- { trigger: brake, on: sensors.brake, result: alerts.brake, ackWait: 3s }\n',
    );
    if (!loaded.ok) throw new Error(loaded.error.message);
    const { deployments, triggers } = loaded.value;
    expect(deployments.map(({ name, module, replicas, spread, concurrency }) => [name, module, replicas, spread, concurrency])).toEqual([
      ['brake', 'brake', 2, 255, 4],
    ]);
    expect(triggers.map(({ name, deployment, ackWaitMs, deliveriesMax }) => [name, deployment, ackWaitMs, deliveriesMax])).toEqual([
      ['brake', 'brake', 3_000, 8],
    ]);
  });

  it('may be one entry alone', () => {
    const loaded = load('deploy: brake\norigin: cloud/eu\n');
    expect(loaded.ok && loaded.value.deployments[0]?.name).toBe('brake');
  });

  it.each([
    [
      'an unknown field, with what was probably meant',
      '- { deploy: a, origin: cloud/eu, replica: 2 }',
      /app\.yaml:1:\d+ .*unknown field 'replica'; did you mean 'replicas'\?/,
    ],
    ['an entry that is none', '- { deplo: a, origin: cloud/eu }', /'deplo' begins no entry; did you mean 'deploy'\?/],
    ['a time, which belongs to scenarios', '- { at: 3s, deploy: a, origin: cloud/eu }', /knows no 'at'/],
    ['a field that is missing', '- { deploy: a }', /'origin' is missing/],
    ['a name that stands twice', '- { deploy: a, origin: x }\n- { deploy: a, origin: x }', /app\.yaml:2:\d+ .*'a' stands twice/],
    ['a wrong unit', '- { trigger: a, on: b, ackWait: 3 }', /found 3, expected/],
    ['an empty file', '', /the file is empty/],
    ['a text', 'deploy echo', /found a text, expected a list of entries/],
    ['what is no YAML', '- { deploy: [', /not valid YAML/],
  ])('refuses %s', (_what, text, message) => {
    expect(mistakesOf(text)).toMatch(message);
  });
});
