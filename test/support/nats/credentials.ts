// An operator, an account and a user of NATS, as `nsc` would make them: the server's configuration and the user's file.
import { nkeys } from '@nats-io/transport-node';

function base64url(bytes: Uint8Array | string): string {
  return Buffer.from(bytes).toString('base64url');
}

function signed(issuer: nkeys.KeyPair, subject: string, name: string, nats: object): string {
  const header = base64url(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const claims = { jti: `${name}-${subject.slice(0, 8)}`, iat: 1_700_000_000, iss: issuer.getPublicKey(), sub: subject, name, nats };
  const body = `${header}.${base64url(JSON.stringify(claims))}`;
  return `${body}.${base64url(issuer.sign(new TextEncoder().encode(body)))}`;
}

export function createCredentials(): { readonly config: string; readonly file: string } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const accountKey = account.getPublicKey();
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const accountToken = signed(operator, accountKey, 'account', {
    type: 'account',
    version: 2,
    limits: { ...limits, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  });
  const userToken = signed(account, user.getPublicKey(), 'user', { type: 'user', version: 2, subs: -1, data: -1, payload: -1 });
  const operatorToken = signed(operator, operator.getPublicKey(), 'operator', { type: 'operator', version: 2 });
  return {
    config: `operator: ${operatorToken}\nresolver: MEMORY\nresolver_preload: { ${accountKey}: ${accountToken} }`,
    file: [
      '-----BEGIN NATS USER JWT-----',
      userToken,
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      new TextDecoder().decode(user.getSeed()),
      '------END USER NKEY SEED------',
      '',
    ].join('\n'),
  };
}
