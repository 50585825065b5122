// The player of scenarios, in a run that has streams more than the product: named ones of its own, of the driver and of machines,
// drawn from at every record. `named` in the settings says which; the rest of the settings is the player's.
import type { ScenarioSettings } from '../../../sim/campaign/scenario.main.ts';
import { createPlayer as createScenarioPlayer } from '../../../sim/campaign/scenario.main.ts';
import type { Player } from '../../../sim/campaign/player.ts';

export type OtherStreams = ScenarioSettings & { readonly named: readonly string[] };

export async function createPlayer(given: unknown): Promise<Player> {
  const player = await createScenarioPlayer(given);
  const { named } = given as OtherStreams;
  return {
    drive(kernel, job, sink) {
      const streams = named.map((name) => kernel.stream(name));
      for (const stream of streams) stream.bytes(100);
      return player.drive(kernel, job, {
        header: (header) => sink.header(header),
        record(record) {
          for (const stream of streams) stream.uint32();
          sink.record(record);
        },
      });
    },
  };
}
