// A machine of its own process: serves until it is killed. Its identity comes in by IPC, its address goes out.
import type { Identity } from '../../../hardware/network/network.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import { get, GrpcWorld } from '../../contract/grpc-world.ts';

process.once('message', (identity: Identity) => {
  void (async () => {
    const network = new GrpcWorld().machine(identity);
    const endpoint = 'peer' as Endpoint;
    get(
      await network.listen(endpoint, {
        call: async (_method, _peer, request) => (request.length === 0 ? new Promise(() => {}) : ok(request)),
        stream: async (_method, stream) => {
          for (;;) {
            const message = await stream.receive();
            if (!message.ok || message.value === null) return;
            await stream.send(message.value);
          }
        },
      }),
    );
    process.send!(network.addressOf(endpoint));
  })();
});
