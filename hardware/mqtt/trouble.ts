// Why a broker was not reached or did not let us in, in sentences that a stranger understands.
import { failed, rejected, type Err } from '../../system/domain/outcome.ts';
import type { BrokerAddress } from './link.ts';

/** Reason codes of MQTT 5 that a gateway may meet, in words. */
const REASONS: Readonly<Record<number, string>> = {
  0x04: 'the user name or password is wrong',
  0x05: 'not authorised',
  0x80: 'unspecified error',
  0x81: 'malformed packet',
  0x82: 'protocol error',
  0x83: 'the broker cannot process it',
  0x84: 'the broker does not speak MQTT 5',
  0x85: 'the client identifier is not allowed',
  0x86: 'the user name or password is wrong',
  0x87: 'not authorised',
  0x88: 'the broker is not available',
  0x89: 'the broker is busy',
  0x8a: 'this client is banned',
  0x8b: 'the broker shuts down',
  0x8c: 'the authentication method is not allowed',
  0x8d: 'no sign of life within the keep-alive time',
  0x8e: 'another client with the same identifier took the session over',
  0x8f: 'the topic filter is not allowed',
  0x90: 'the topic name is not allowed',
  0x93: 'more messages in flight than the broker takes',
  0x95: 'the packet is too large',
  0x96: 'the message rate is too high',
  0x97: 'a quota is used up',
  0x98: 'an administrator ended the connection',
  0x99: 'the payload does not have the format it claims',
  0x9a: 'retained messages are not supported',
  0x9b: 'the quality of service is not supported',
  0x9c: 'use another server',
  0x9d: 'the server has moved',
  0x9f: 'connections come too fast',
  0xa1: 'subscription identifiers are not supported',
  0xa2: 'wildcards in subscriptions are not supported',
};

const NOT_LET_IN: readonly number[] = [0x04, 0x05, 0x85, 0x86, 0x87, 0x8a, 0x8c];
const WRONG_VERSION: readonly number[] = [0x01, 0x84];

export function refusedBy(code: number, text: string): string {
  const name = `0x${code.toString(16).padStart(2, '0')}`;
  const known = REASONS[code];
  return `${known ?? 'a reason that this gateway does not know'} (${name}${text === '' ? '' : `, ${text}`})`;
}

export function troubleOf({ url, clientId, username }: BrokerAddress, cause: Error | null): Err {
  const code: unknown = cause !== null && 'code' in cause ? cause.code : null;
  const detail = { broker: url, cause: cause?.message ?? 'closed' };
  if (typeof code === 'number') {
    const who = username === null ? `the client '${clientId}' without a user name` : `the user '${username}'`;
    if (NOT_LET_IN.includes(code))
      return rejected('WM_MQTT_REFUSED', {
        message: `The broker ${url} did not let in ${who}: ${refusedBy(code, '')}.`,
        next: 'Correct user name, password or client identifier, or the access rules of the broker.',
        detail,
      });
    if (WRONG_VERSION.includes(code))
      return rejected('WM_MQTT_REFUSED', {
        message: `The broker ${url} does not speak MQTT 5.`,
        next: 'Use a broker with MQTT 5, such as Mosquitto 2; nats-server speaks 3.1.1 only.',
        detail,
      });
    return failed('WM_UNREACHABLE', {
      message: `The broker ${url} refused the connection: ${refusedBy(code, '')}.`,
      next: 'Read the log of the broker.',
      detail,
    });
  }
  const text = cause?.message ?? 'it closed the connection without a word';
  if (isCertificateTrouble(code, text))
    return rejected('WM_CERTIFICATE_REFUSED', {
      message: `No secure connection to ${url}: ${text}.`,
      next: 'Give the authority that signed the certificate of the broker, use the name that stands in it, and check the certificate of the gateway and both clocks.',
      detail,
    });
  return failed('WM_UNREACHABLE', {
    message: unreachableText(url, code, text),
    next: 'Start the broker, or correct its address; a gateway keeps trying.',
    detail,
  });
}

function unreachableText(url: string, code: unknown, text: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return `Nothing listens at ${url}.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The name in ${url} is not known.`;
    case 'ECONNRESET':
      return `The broker at ${url} closed the connection while it was made; a port for TLS does so when it is spoken to in plain text.`;
    default:
      return text === 'connack timeout'
        ? `Something listens at ${url}, but does not answer as an MQTT broker.`
        : `No connection to ${url}: ${text}.`;
  }
}

function isCertificateTrouble(code: unknown, text: string): boolean {
  return (
    (typeof code === 'string' &&
      /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(code)) ||
    /certificate/i.test(text)
  );
}
