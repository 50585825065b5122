// What is refused before the first message, each with a sentence; and what a message carries into an event.
import type { IPublishPacket } from 'mqtt';
import { describe, expect, it } from 'vitest';
import { checkPublication, eventOf, publicationOf } from '../../../hardware/mqtt/message.ts';
import { compileRoutes, type InboundRoute, type OutboundRoute } from '../../../hardware/mqtt/mqtt.ts';
import type { Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { eventOf as busEvent } from '../../support/bus/site.ts';

const sentence = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.message);
const inbound = (topics: string, subject: string | null = null): InboundRoute => ({ topics, subject });
const outbound = (subjects: string, topic: string | null = null, name = 'out'): OutboundRoute => ({
  name,
  subjects: subjects as SubjectFilter,
  topic,
  retain: false,
});
const compile = (...routes: readonly InboundRoute[]): string => sentence(compileRoutes({ name: 'plant', inbound: routes, outbound: [] }));
const compileOut = (...routes: readonly OutboundRoute[]): string =>
  sentence(compileRoutes({ name: 'plant', inbound: [], outbound: routes }));

describe('routes', () => {
  it.each([
    [inbound('a/#/b'), 'The filter "a/#/b" goes on after #.'],
    [inbound('a+/b'), 'The filter "a+/b" has a wildcard inside the level "a+".'],
    [inbound(''), 'The topic is empty.'],
    [inbound('$share/g/a'), 'The filter "$share/g/a" is a shared subscription.'],
    [inbound('a/+', 'x.{2}'), `The template 'x.{2}' names {2}, but the filter has only 1 of them.`],
    [inbound('a/b', 'x.{1}'), `The template 'x.{1}' names {1}, but the filter has no wildcard.`],
    [inbound('a/+', 'x.v{1}'), `'v{1}' in the template 'x.v{1}' is not understood.`],
    [inbound('a/+', 'x..y'), `'x..y' is no template of a subject.`],
    [inbound('a/+', 'x y'), `'x y' is no template of a subject.`],
  ])('%o is refused', (route, expected) => {
    expect(compile(route)).toBe(expected);
  });

  it('refuse two that take the same message', () => {
    expect(compile(inbound('a/+/c'), inbound('a/b/#'))).toBe(`The routes 'a/+/c' and 'a/b/#' may match the same topic.`);
    expect(compile(inbound('a/+/c'), inbound('a/+/d'))).toBe('ok');
  });

  it('refuse what no topic or consumer can be made of', () => {
    expect(compileOut(outbound('a..b'))).toBe(`'a..b' is no filter of subjects.`);
    expect(compileOut(outbound('a.*', 'x/+/{1}'))).toBe(`'x/+/{1}' is no template of a topic: The topic "x/+/x" holds a wildcard.`);
    expect(compileOut(outbound('a.*', null, 'Not a name'))).toBe(`'Not a name' is no name of a route.`);
    expect(compileOut(outbound('a.*'), outbound('b.*'))).toBe(`Two outbound routes are called 'out'.`);
    expect(compile()).toBe('The gateway plant has no route.');
  });
});

describe('messages', () => {
  const packetOf = (changes: Partial<IPublishPacket>): IPublishPacket => ({
    cmd: 'publish',
    qos: 1,
    dup: false,
    retain: false,
    topic: 'a/b',
    payload: Buffer.from('x'),
    ...changes,
  });
  const take = (changes: Partial<IPublishPacket>) =>
    eventOf({ packet: packetOf(changes), subject: 'a.b' as Subject, nowMs: 5, identify: () => 'given' });
  const eventIn = (changes: Partial<IPublishPacket>) => {
    const taken = take(changes);
    if (!taken.ok) throw new Error(taken.refusal.error.message);
    return taken.event;
  };
  const refusalIn = (changes: Partial<IPublishPacket>): string => {
    const taken = take(changes);
    return taken.ok ? 'taken' : `0x${taken.refusal.reasonCode.toString(16)} ${taken.refusal.error.message}`;
  };

  it('have an identifier that is fit to print, whatever the device sent', () => {
    expect(eventIn({}).id).toBe('given');
    expect(eventIn({ properties: { userProperties: { id: 'é' } } }).id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(eventIn({ properties: { userProperties: { id: 'x'.repeat(300) } } }).id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(eventIn({ properties: { correlationData: Buffer.from([0, 1, 255]) } }).correlation).toBe('hex:0001ff');
    expect(eventIn({ properties: { userProperties: { time: 'yesterday' } } }).timeMs).toBe(5);
  });

  it('with too many or too long properties are refused', () => {
    const many = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`p${i}`, 'x']));
    expect(refusalIn({ properties: { userProperties: many } })).toBe('0x83 A message on the topic a/b has 33 properties.');
    expect(refusalIn({ properties: { userProperties: { ['n'.repeat(129)]: 'x' } } })).toContain('a property whose name has 129 characters');
    expect(refusalIn({ properties: { userProperties: { n: 'x'.repeat(4_097) } } })).toContain(`a property 'n' of 4097 characters`);
  });

  it('of a CloudEvent keep its own identifier on the way out and in again', () => {
    const event = busEvent('/plants/4#9', { headers: { specversion: '1.0', source: '/plants/4' } });
    const { payload, properties } = publicationOf(event);
    expect(properties.userProperties['id']).toBe('9');
    expect(eventIn({ payload, properties: { ...properties, userProperties: { ...properties.userProperties } } })).toMatchObject({
      id: event.id,
      correlation: event.correlation,
      timeMs: event.timeMs,
    });
  });

  it('that no broker would take are refused before they end the connection', () => {
    const refusalOf = (headers: Record<string, string>): string =>
      sentence(checkPublication('a/b', publicationOf(busEvent('e', { headers })), null));
    expect(refusalOf({ note: 'größe' })).toBe('ok');
    expect(refusalOf({ note: 'two\nlines' })).toBe('An event for the topic a/b has the property "two\\nlines", which MQTT cannot carry.');
    expect(refusalOf({ '\ufdd0': 'x' })).toContain('which MQTT cannot carry');
    expect(refusalOf({ 'content-type': 'x'.repeat(65_536) })).toContain('which MQTT cannot carry');
    expect(compileOut(outbound('a.*', 'x\n/{1}'))).toContain('holds a character that MQTT forbids');
  });

  it('are held against the size that the broker takes', () => {
    const publication = publicationOf(busEvent('e', { data: new Uint8Array(1_000) }));
    expect(sentence(checkPublication('a/b', publication, null))).toBe('ok');
    expect(sentence(checkPublication('a/b', publication, 2_000))).toBe('ok');
    expect(sentence(checkPublication('a/b', publication, 1_000))).toMatch(
      /^An event for the topic a\/b takes \d+ bytes as a message; the broker takes at most 1000\.$/,
    );
  });
});
