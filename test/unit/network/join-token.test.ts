import { describe, expect, it } from 'vitest';
import { decodeJoinToken, encodeJoinToken } from '../../../hardware/network/join-token.ts';
import type { JoinToken } from '../../../hardware/network/join-token.ts';

const TOKEN: JoinToken = {
  role: 'node',
  addresses: ['192.0.2.7:7420', 'controller.example.com:7420', '[2001:db8::1]:7420'],
  authoritySha256: new Uint8Array(32).fill(7),
  secret: new Uint8Array(16).fill(9),
};
const TEXT = encodeJoinToken(TOKEN);

const sentenceOf = (text: string): string => {
  const decoded = decodeJoinToken(text);
  return decoded.ok ? 'ok' : `${decoded.error.code}: ${decoded.error.message}`;
};

describe('a join token', () => {
  it('says again what it was made of, also with a line end behind it', () => {
    const decoded = decodeJoinToken(` ${TEXT}\n`);
    if (!decoded.ok) throw new Error(decoded.error.message);
    const { role, addresses, authoritySha256, secret } = decoded.value;
    expect({ role, addresses, authoritySha256: Uint8Array.from(authoritySha256), secret: Uint8Array.from(secret) }).toEqual(TOKEN);
  });

  it('is one word that a shell leaves alone', () => {
    expect(TEXT).toMatch(/^wm1\.[A-Za-z0-9_-]+$/);
  });

  it('with one character mistyped anywhere is told to be no whole token', () => {
    for (let at = 'wm1.'.length; at < TEXT.length; at++) {
      const other = TEXT[at] === 'A' ? 'B' : 'A';
      const sentence = sentenceOf(TEXT.slice(0, at) + other + TEXT.slice(at + 1));
      expect(sentence).toMatch(/^WM_ARGUMENT: This is no join token: it (was mistyped|is cut off)/);
    }
  });

  it('that is cut off is told so', () => {
    for (const length of [5, 8, 40, TEXT.length - 1]) {
      expect(sentenceOf(TEXT.slice(0, length))).toMatch(/^WM_ARGUMENT: This is no join token: it is cut off/);
    }
  });

  it('with something behind it is refused', () => {
    expect(sentenceOf(`${TEXT}AAAA`)).toMatch(/mistyped/);
    expect(sentenceOf(`${TEXT} AAAA`)).toMatch(/holds a character that is in no token/);
  });

  it('of another kind is told from a mistyped one', () => {
    expect(sentenceOf('')).toMatch(/does not begin with 'wm1\.'/);
    expect(sentenceOf('SWMTKN-1-xyz')).toMatch(/does not begin with 'wm1\.'/);
    expect(sentenceOf(TEXT.replace('wm1', 'wm2'))).toMatch(/version 2, made by a newer version/);
    expect(sentenceOf(`wm1.${'A'.repeat(9_000)}`)).toMatch(/far too long/);
  });

  it('is never quoted in its refusal', () => {
    const decoded = decodeJoinToken(TEXT.slice(0, -4));
    expect(JSON.stringify(decoded)).not.toContain(TEXT.slice(20, 40));
  });
});
