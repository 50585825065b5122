// A scenario with a mistake is refused with file, line, column and what was expected (H2.1).
// In the changes below a § stands where the mistake is to be reported; it is taken out before the file is loaded.
import { describe, expect, it } from 'vitest';
import { loadText, SMALL } from '../../support/scenarios/files.ts';

/** What is changed where a goal has the mistake. */
const HAPPENS = 'happens: { record: node.status, atMost: 4 }';

type Change = readonly [what: string, from: string, to: string, told: string];

const SHAPE: readonly Change[] = [
  ['an unknown field', 'tags: [calm]', 'tags: [calm]\n§colour: red', "colour: unknown field 'colour'"],
  ['a misspelt field', 'duration: 10s', '§duraton: 10s', "duraton: unknown field 'duraton'; did you mean 'duration'?"],
  ['a missing field', 'question: Does it answer?', '§description: Nothing', "'question' is missing"],
  ['a question that is none', 'Does it answer?', '§It answers.', 'found "It answers.", expected one question'],
  [
    'an unknown unit',
    'duration: 10s',
    'duration: §10h',
    'found "10h", expected a length of time: a whole or decimal number with us, ms, s or m',
  ],
  ['a number without a unit', 'duration: 10s', 'duration: §10', 'found 10, expected a length of time'],
  [
    'a bad size',
    'zone: cloud/a }\n    - { node: b-1',
    'zone: cloud/a, memory: §64MB }\n    - { node: b-1',
    'found "64MB", expected an amount of memory',
  ],
  ['a bad chance', 'loss: 1/100', 'loss: §0.01', 'found 0.01, expected a chance'],
  ['a bad name', 'tags: [calm]', 'tags: [§Calm]', 'found "Calm", expected lower-case letters, digits and inner hyphens'],
  ['an unknown word', 'architecture: aarch64', 'architecture: §arm', `found "arm"; expected one of: x86_64, aarch64, riscv64`],
  [
    'an unknown requirement',
    '[P1, R2.1]',
    '[P1, §Q2.1]',
    'requirements[1]: found "Q2.1", expected an identifier such as R1.2, P11 or H5.5',
  ],
  ['a step that is none', 'crash: a-1, for: 2s', '§explode: a-1, for: 2s', "'explode' is no step; expected one of: push, trust"],
  ['a misspelt step', 'crash: a-1, for: 2s', '§crush: a-1, for: 2s', "'crush' is no step; did you mean"],
  ['an unknown field of a step', 'crash: a-1, for: 2s', 'crash: a-1, for: 2s, §hard: true', "unknown field 'hard'"],
  ['a field that a step lacks', 'crash: a-1, for: 2s', 'crash: a-1', "'for' is missing"],
  ['a step without a time', '- { at: 2s, deploy: echo', '- §{ deploy: echo', "a step needs either 'at' or 'between'"],
  [
    'a step with two times',
    '- { at: 2s, deploy: echo',
    '- §{ at: 2s, between: [1s, 2s], deploy: echo',
    "a step needs either 'at' or 'between', and has both",
  ],
  ['a goal that is none', '- answered:', '- §anwsered:', "'anwsered' is no goal; did you mean 'answered'?"],
  [
    'a parameter that a goal lacks',
    '- answered: { subject: questions.plain, within: 2s }',
    '- §answered: { subject: questions.plain }',
    "the goal 'answered' needs 'within'",
  ],
  ['a parameter that a goal does not have', 'within: 2s }', 'within: 2s, §before: 3s }', "the goal 'answered' has no 'before'; "],
  ['a parameter with a bad value', 'within: 2s }', 'within: §2 }', 'found 2, expected a duration such as 250ms, 2s or 1m'],
  [
    'two goals in one',
    '- happens: { record: node.status, atMost: 4 }',
    '- §happens: { record: node.status, atMost: 4 }\n    failover: { within: 2s }',
    'expected one goal with its parameters, found happens and failover',
  ],
  [
    'no goals',
    'goals:\n  - answered: { subject: questions.plain, within: 2s }\n  - happens: { record: node.status, atMost: 4 }\n',
    'goals: §[]\n',
    'goals: found [], expected at least 1 in the list',
  ],
  ['no fleet', 'tags: [calm]', 'tags: [calm]\n§fleets: three-zones', "unknown field 'fleets'"],
  [
    'a fleet that is a list',
    SMALL.slice(SMALL.indexOf('fleet:'), SMALL.indexOf('platform:')),
    'fleet: §[a]\n',
    'expected the name of a fleet',
  ],
  ['what is no YAML', 'tags: [calm]', 'tags: [calm]]', 'not valid YAML'],
  ['an alias of nothing', 'tags: [calm]', 'tags: *calm', 'the alias *calm has no anchor before it'],
  [
    'aliases of aliases without end',
    'tags: [calm]',
    `tags: [&a [x, x, x, x, x, x, x, x, x, x], &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a], &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]]`,
    'not valid YAML: Excessive alias count',
  ],
  ['a value that stands twice', 'tags: [calm]', 'tags: §[calm, calm]', 'found ["calm","calm"], expected no value twice'],
  ['a second document', 'tags: [calm]', 'tags: [calm]\n§---\nquestion: Why?', 'a second document begins here, and a file holds one'],
  [
    'a number in quotes',
    'origin: cloud/a }',
    'origin: cloud/a, replicas: §"2" }',
    'steps[1].replicas: found "2", expected a whole number, without quotes',
  ],
  ['a word for a number', 'origin: cloud/a }', 'origin: cloud/a, replicas: §two }', 'found "two", expected a whole number'],
  ['a misspelt word beside a length of time', 'crash: a-1, for: 2s', 'crash: a-1, for: §evr', `found "evr"; did you mean 'ever'?`],
  [
    'neither the word nor a length of time',
    'crash: a-1, for: 2s',
    'crash: a-1, for: §10',
    "found 10, expected a length of time: a whole or decimal number with us, ms, s or m, or 'ever'",
  ],
  ['a misspelt level', 'origin: cloud/a }', 'origin: cloud/a, spread: §nod }', `found "nod"; did you mean 'node'?`],
  ['a filter with > inside', 'on: "questions.*"', 'on: §questions.>.a', 'found "questions.>.a", expected a subject filter'],
  ['too little', 'origin: cloud/a }', 'origin: cloud/a, replicas: §-1 }', 'found -1, expected 0 or more'],
  [
    'fields that are none',
    HAPPENS,
    'never: { record: node.status, where: §unavailable }',
    'found "unavailable", expected fields with their values',
  ],
  ['fields without any', HAPPENS, 'never: { record: node.status, where: §{} }', 'found {}, expected fields with their values'],
  [
    'a percentage of more than all',
    HAPPENS,
    'budget: { of: answer, within: 2s, percentile: §101 }',
    'found 101, expected a whole number from 1 to 100',
  ],
  ['a goal without a name', '- happens: { record: node.status, atMost: 4 }', '- §{}', 'expected one goal with its parameters, found none'],
];

const MEANING: readonly Change[] = [
  ['a step after the end', 'at: 3s, trigger', 'at: §11s, trigger', 'the step is later than the duration (10000 ms)'],
  ['times in the wrong order', 'between: [5s, 6s]', 'between: §[6s, 5s]', 'the first time is later than the second'],
  [
    'a module that is never pushed',
    'deploy: echo, origin: cloud/a',
    'deploy: §ecco, module: ecco, origin: cloud/a',
    "module 'ecco' is not pushed before it is deployed; did you mean 'echo'?",
  ],
  [
    'a module that is pushed too late',
    'at: 1s, push: echo',
    'at: 2500ms, push: echo',
    "module 'echo' is not pushed before it is deployed; it is pushed at 2.5s, and deployed at 2s",
  ],
  [
    'a module whose pushes are refused',
    'push: echo',
    'push: echo, signing: unsigned',
    "module 'echo' is not pushed before it is deployed; its pushes are all to be refused",
  ],
  [
    'a goal on what nobody publishes',
    'subject: questions.plain, within',
    'subject: §question.plain, within',
    "no workload publishes on 'question.plain', so nothing would be answered; did you mean 'questions.plain'?",
  ],
  [
    'a goal on what is no filter',
    'subject: questions.plain, within',
    'subject: §questions..plain, within',
    "found 'questions..plain', expected a subject filter",
  ],
  ['a failure detector without time', '{ queue: 100 }', '{ heartbeat: §0s }', 'found "0s", expected 1ms or more'],
  ['a lease of no time', '{ queue: 100 }', '{ lease: §0.1ms }', 'found "0.1ms", expected 1ms or more'],
  [
    'a version that is not there',
    'deploy: echo, origin: cloud/a',
    'deploy: echo, version: §2, origin: cloud/a',
    "version 2 of 'echo' is not pushed before it is deployed",
  ],
  [
    'a rollback to a version that is not there',
    'crash: a-1, for: 2s',
    'rollback: echo, version: §2',
    'rollback to version 2, but 1 version is pushed before it',
  ],
  ['an unknown zone', 'origin: cloud/a', 'origin: §cloud/c', "unknown zone 'cloud/c'; did you mean 'cloud/a'?"],
  [
    'a record that nobody writes',
    'happens: { record: node.status, atMost',
    'happens: { record: §node.state, atMost',
    "unknown record 'node.state'; did you mean 'node.status'?",
  ],
  [
    'a field that a record does not have',
    'happens: { record: node.status, atMost',
    'happens: { record: node.status, field: §too, value: suspect, atMost',
    "unknown field 'too'; did you mean 'to'?",
  ],
  [
    'a field without its value',
    'happens: { record: node.status, atMost',
    'happens: §{ record: node.status, field: to, atMost',
    "the goal 'happens' has a field without its value",
  ],
  ['a state that nobody knows', HAPPENS, 'sometimes: { state: §lease-lapsed-over-gest }', "did you mean 'lease-lapsed-over-guest'?"],
  ['a goal that looks for nothing', HAPPENS, '§never: {}', "the goal 'never' needs either 'state' or 'record', and has none of them"],
  [
    'a goal that looks for two things',
    HAPPENS,
    '§sometimes: { state: queue-full, record: node.status }',
    "needs either 'state' or 'record', and has state and record",
  ],
  ['a sometimes that needs no time', HAPPENS, 'sometimes: { state: queue-full, atLeast: §0 }', 'found 0, expected 1 or more'],
  ['a record that nobody writes, of never', HAPPENS, 'never: { record: §node.state }', "did you mean 'node.status'?"],
  [
    'a field of where that a record does not have',
    HAPPENS,
    'never: { record: node.status, where: { to: unavailable, §form: healthy } }',
    "unknown field 'form'; did you mean 'from'?",
  ],
  ['a choice among nothing', HAPPENS, 'never: { state: queue-full, §where: { to: healthy } }', "and there is no 'record'"],
  ['a condition that nobody knows', HAPPENS, 'eventually: { holds: §nodes-healty, within: 2s }', "did you mean 'nodes-healthy'?"],
  [
    'a condition after something',
    HAPPENS,
    'eventually: { holds: nodes-healthy, §after: node.status, within: 2s }',
    "a condition holds from the healing on; 'after' is for what happens",
  ],
  [
    'an occasion that never is',
    HAPPENS,
    'eventually: { record: node.status, after: §node.state, within: 2s }',
    "unknown record 'node.state'",
  ],
  [
    'a field of an occasion that it does not have',
    HAPPENS,
    'eventually: { record: node.status, after: node.enrolled, afterWhere: { §nod: a-1 }, within: 2s }',
    "unknown field 'nod'; did you mean 'node'?",
  ],
  [
    'a field that only one of two records has',
    HAPPENS,
    'eventually: { record: node.status, after: node.enrolled, same: §cause, within: 2s }',
    "unknown field 'cause'",
  ],
  [
    'what is the same as nothing',
    HAPPENS,
    'eventually: { record: node.status, §same: node, within: 2s }',
    "'same' compares a field of 'after' with one of 'record', and needs both",
  ],
  [
    'a budget without a limit',
    HAPPENS,
    '§budget: { of: answer, percentile: 50 }',
    "the goal 'budget' needs 'within' or 'above', and has none of them",
  ],
  ['a floor that everything is above', HAPPENS, 'budget: { of: answer, above: §0s }', 'found 0, expected a time that something may take'],
  [
    'a floor above the limit',
    HAPPENS,
    'budget: { of: answer, within: 1s, above: §2s }',
    "no time is both within 'within' and above 'above'",
  ],
  ['a floor under nothing', HAPPENS, 'budget: { of: answer, above: 1s, atLeast: §0 }', 'found 0, expected 1 or more'],
  ['a duration that nobody measures', HAPPENS, 'budget: { of: §invokation, within: 2s }', "did you mean 'invocation'?"],
  [
    'a choice by a field that is not there',
    HAPPENS,
    'budget: { of: invocation, within: 2s, where: { §nodes: a-1 } }',
    "unknown field 'nodes'; did you mean 'node'?",
  ],
  ['an unknown deployment', 'trigger: echo, on', 'trigger: echo, deployment: §ego, on', "unknown deployment 'ego'; did you mean 'echo'?"],
  ['an unknown machine', 'crash: a-1', 'crash: §a-3', "unknown machine 'a-3'; did you mean 'a-1'?"],
  ['a machine that is off for longer than it takes', 'crash: a-1, for: 2s', 'restore: a-1, for: 2s, off: §3s', 'and 2s is all there is'],
  ['the only copy put back', 'crash: a-1, for: 2s', 'restore: §controller, for: 2s, off: 1s', "add 'lastCopy: true'"],
  ['the only copy at risk', 'crash: a-1, for: 2s', 'wipe: §controller, for: 2s', "add 'lastCopy: true'"],
  ['an upgrade of what is no node', 'crash: a-1, for: 2s', 'upgrade: §controller, version: 2.0.0, for: 2s', "unknown node 'controller'"],
  ['a step of no time', 'crash: a-1, for: 2s', 'clock-step: a-1, by: §0s, for: 2s', 'expected whole milliseconds, not 0'],
  ['an unknown node', 'crash: a-1, for: 2s', 'drain: §controller', "unknown node 'controller'"],
  ['an unknown node to take back', 'crash: a-1, for: 2s', 'undrain: §b-9', "unknown node 'b-9'"],
  [
    'a partition of what is not there',
    'crash: a-1, for: 2s',
    'partition: [a-1], from: [§cloud/x], for: 2s',
    "unknown zone or machine 'cloud/x'",
  ],
  [
    'a link fault between unknown zones',
    'crash: a-1, for: 2s',
    'latency: [cloud/a, §cloud/x], factor: 2, for: 2s',
    "unknown zone 'cloud/x'",
  ],
  [
    'a loss that loses everything',
    'crash: a-1, for: 2s',
    'loss: [cloud/a, cloud/b], ratio: §100%, for: 2s',
    'expected a chance below 1; to cut a link use partition',
  ],
  ['an unknown capability', 'push: echo', 'push: echo, capabilities: [§fly]', "found 'fly', expected clock, random, sleep, log"],
  [
    'more instances than fit',
    'origin: cloud/a }',
    'origin: cloud/a, replicas: §100, needs: { cpu: 4000 } }',
    'found 100, but the fleet has room for 3 instances',
  ],
  [
    'needs that nobody meets',
    'origin: cloud/a }',
    'origin: cloud/a, needs: §{ hardware: [gpu] } }',
    "no node of the fleet can take an instance of 'echo'",
  ],
  [
    'a workload that nobody listens to',
    'subject: questions.plain, from',
    'subject: §other.plain, from',
    "no trigger listens to 'other.plain', so it would test nothing",
  ],
  ['a workload from nowhere', 'from: cloud/b', 'from: §cloud/x', "unknown zone 'cloud/x'"],
  ['a workload without time', 'start: 4s, every', 'start: 4s, end: §4s, every', 'expected start < end <= duration'],
  ['a workload that never pauses', 'every: 100ms', 'every: §0ms', 'found no time between two events'],
  ['a workload beyond all measure', 'every: 100ms', 'every: §1us', 'this publishes about 6000000 events; at most 1000000 are allowed'],
  ['a curve that is nothing', 'every: 100ms', 'every: 100ms, curve: { period: 2s, points: §[{ at: 0s, rate: 0 }] }', 'all rates are 0'],
  [
    'a curve that begins late',
    'every: 100ms',
    'every: 100ms, curve: { period: 2s, points: [{ at: §1s, rate: 1 }] }',
    'expected the first point at 0s',
  ],
  [
    'a curve with points beyond its period',
    'every: 100ms',
    'every: 100ms, curve: { period: 2s, points: [{ at: 0s, rate: 1 }, { at: §2s, rate: 1 }] }',
    'expected a time before the end of the period (2000 ms)',
  ],
  [
    'a curve that goes back',
    'every: 100ms',
    'every: 100ms, curve: { period: 2s, points: [{ at: 0s, rate: 1 }, { at: 1s, rate: 1 }, { at: §1s, rate: 2 }] }',
    'expected a later time',
  ],
  [
    'a curve without an event',
    'every: 100ms',
    'every: 100ms, curve: §{ period: 50s, points: [{ at: 0s, rate: 0.001 }] }',
    'less than one event comes of this curve',
  ],
  [
    'a curve beyond all measure',
    'every: 100ms',
    'every: §10us, curve: { period: 2s, points: [{ at: 0s, rate: 4 }] }',
    'this publishes about 2400000 events',
  ],
  ['a recording with a rate beside it', 'every: 100ms', 'every: §100ms, trace: [{ at: 0s }]', "expected no 'every'"],
  ['a recording out of order', 'every: 100ms', 'trace: [{ at: 1s }, { at: §500ms }]', 'this is before the event above it'],
  [
    'a recording longer than the run',
    'every: 100ms',
    'trace: [{ at: 1s }, { at: §30s }]',
    "the workload ends at 10000 ms; say 'end' to leave out",
  ],
  [
    'data that cannot be drawn',
    'every: 100ms }',
    'every: 100ms, data: §"{random:5:1}" }',
    'the least of {random:5:1} is larger than the most',
  ],
  [
    'two workloads of one name',
    'observe:',
    '  - { name: §questions, subject: questions.plain, from: cloud/b, every: 1s }\nobserve:',
    "there are two workloads called 'questions'",
  ],
  [
    'a backoff that shrinks',
    'result: answers.echo',
    'result: answers.echo, backoff: §2s, backoffMax: 1s',
    'the first delay (2000 ms) is longer than the largest (1000 ms)',
  ],
  [
    'a lease that outlives the node',
    'queue: 100',
    'queue: 100, lease: §3s',
    'a lease of 3000 ms must lapse before a node is unavailable (3000 ms)',
  ],
  ['times of the failure detector in the wrong order', '{ queue: 100 }', '§{ suspect: 4s }', 'expected heartbeat < suspect < unavailable'],
];

const FLEET: readonly Change[] = [
  ['two nodes of one name', 'node: b-1', 'node: §a-1', "there are two nodes called 'a-1'"],
  ['a node called like the controller', 'node: b-1', 'node: §controller', "'controller' is the controller's own name"],
  ['a node in no zone', 'zone: cloud/b, architecture', 'zone: §cloud/x, architecture', "unknown zone 'cloud/x'"],
  ['a link to nowhere', 'between: [cloud/a, cloud/b]', 'between: [cloud/a, §cloud/x]', "link to an unknown zone 'cloud/x'"],
  [
    'a delay that cannot be',
    'latency: 2ms',
    'latency: §{ uniform: { min: 3ms, max: 2ms } }',
    'the delays of the law contradict each other',
  ],
  ['a chance above one', 'loss: 1/100', 'loss: §3/2', 'found "3/2", expected a chance of at most 1'],
  ['a controller in no zone', 'controller: { zone: cloud/a }', 'controller: { zone: §cloud/x }', "unknown zone 'cloud/x'"],
  [
    'no controller',
    '  controller: { zone: cloud/a }\n  zones',
    '  §zones',
    "the fleet does not say where its controller is; expected 'controller' with a zone",
  ],
  [
    'a fleet that is not there',
    SMALL.slice(SMALL.indexOf('fleet:'), SMALL.indexOf('platform:')),
    'fleet: §three-zones\n',
    "there is no fleet 'three-zones' in scenarios/fleets",
  ],
  ['a latitude beyond the pole', 'location: [51, 9]', 'location: [§91, 9]', 'found 91, expected at most 90'],
];

/** The lines of the refusal of a changed file, and what one of them has to say. */
function refusal([, from, to, text]: Change): { readonly lines: readonly string[]; readonly due: RegExp } {
  expect(SMALL).toContain(from);
  const marked = SMALL.replace(from, () => to);
  const offset = marked.indexOf('§');
  const before = marked.slice(0, Math.max(offset, 0)).split('\n');
  const loaded = loadText(marked.replace('§', ''));
  if (loaded.ok) throw new Error('it was accepted');
  expect(loaded.error).toMatchObject({ kind: 'rejected', code: 'WM_SCENARIO_INVALID' });
  const place = offset < 0 ? '' : `scenarios/catalogue/small.scenario.yaml:${before.length}:${(before.at(-1) ?? '').length + 1}  `;
  return { lines: loaded.error.message.split('\n'), due: new RegExp(`${literal(place)}.*${literal(text)}`) };
}

function literal(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}

it('accepts the file that the mistakes below are made in', () => {
  expect(loadText(SMALL)).toMatchObject({ ok: true });
});

describe('the shape of a file', () => {
  it.each(SHAPE)('%s', (...change) => {
    const { lines, due } = refusal(change);
    expect(lines).toContainEqual(expect.stringMatching(due));
  });
});

describe('what a file refers to', () => {
  it.each(MEANING)('%s', (...change) => {
    const { lines, due } = refusal(change);
    expect(lines).toContainEqual(expect.stringMatching(due));
  });
});

describe('a fleet', () => {
  it.each(FLEET)('%s', (...change) => {
    const { lines, due } = refusal(change);
    expect(lines).toContainEqual(expect.stringMatching(due));
  });
});
