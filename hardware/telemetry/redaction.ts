// What must never be written anywhere: join tokens, private keys, passwords. By the name of the field, and by what the text
// looks like, because messages of libraries and guests carry text from anywhere. Pure.

export const REDACTED = '[redacted]';

/** Names of fields whose value is a secret, whatever it looks like. `key` alone names a public key. */
const SECRET_NAME = /token|password|passphrase|secret|credential|authorization|cookie|private_?key|key_?pem|^pem$/i;

const SECRET_TEXTS: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  // Join tokens of this platform.
  { pattern: /\bwm1\.[A-Za-z0-9_\-.~+/=]+/g, instead: REDACTED },
  // Private keys, whole or cut off.
  { pattern: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, instead: REDACTED },
  // nats://user:password@host
  { pattern: /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, instead: `$1${REDACTED}@` },
  { pattern: /\b(Bearer|Basic) +[A-Za-z0-9_\-.~+/]{8,}=*/gi, instead: `$1 ${REDACTED}` },
  // password=…, "token": "…"
  {
    pattern: /\b(password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key)(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"'}]+)/gi,
    instead: `$1$2${REDACTED}`,
  },
];

/** A cheap look before the patterns: most texts hold nothing that could be a secret. */
const SUSPICIOUS = /wm1\.|-----BEGIN|:\/\/|bearer|basic|pass|secret|token|key/i;

export function redactText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return SECRET_TEXTS.reduce((left, { pattern, instead }) => left.replace(pattern, instead), text);
}

/** A copy of flat fields without secrets. */
export function redactFields<T extends object>(fields: T): T {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (SECRET_NAME.test(name) && value !== null) copy[name] = REDACTED;
    else copy[name] = typeof value === 'string' ? redactText(value) : value;
  }
  return copy as T;
}
