// R13.6 on the real thing: `wasmmatrix up` is killed under load, and whatever another process was answered is there afterwards.
// The full number of the acceptance is played by test/support/kill/kill.main.ts; its figures are in reports/baseline/kill.json.
import process from 'node:process';
import { expect, it } from 'vitest';
import { killControllers } from '../../support/kill/controller-kills.ts';

const KILLS = 16;

it(`keeps every command that was acknowledged through ${KILLS} kills of the controller`, async () => {
  const { figures, faults } = await killControllers({ kills: KILLS, onProgress: () => {} });
  process.stdout.write(`controller: ${JSON.stringify(figures)}\n`);
  expect(faults).toEqual([]);
  // A load that stood still would prove nothing.
  for (const count of [figures.commandsAcknowledged, figures.eventsAcknowledged, figures.writesAcknowledged])
    expect(count).toBeGreaterThan(KILLS);
  expect(figures.killsWhileStarting).toBeGreaterThan(0);
});
