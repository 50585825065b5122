// Keys as the trust store holds them. What an operator revoked stays revoked; what expired is trusted again when the clock by
// which it expired turns out to have been ahead.
import type { TrustedKey } from '../domain/module.ts';

/** `revoked`: an operator said so. `expired`: by the controller's clock its time is over. */
export type StoredKey = TrustedKey & { readonly expired?: boolean };

/** As agents and operators are told of it. */
export function viewKey({ expired, ...key }: StoredKey): TrustedKey {
  return { ...key, revoked: key.revoked || expired === true };
}

export function isTrusted(key: StoredKey | undefined): key is StoredKey {
  return key !== undefined && !key.revoked && key.expired !== true;
}
