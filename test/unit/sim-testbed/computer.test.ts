// A simulated computer that is shut down in order and started again, with a program that says what happens to it.
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../hardware/keys/keys.ts';
import { ServiceFaults } from '../../../sim/faults/faults.ts';
import { KeyRing } from '../../../sim/keys/keys.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { RecordSink } from '../../../sim/telemetry/telemetry.ts';
import { Computer, STOP_MICROS_MAX } from '../../../sim/testbed/computer.ts';
import type { ComputerPorts } from '../../../sim/testbed/computer.ts';
import { simulatedProfile } from '../../../sim/wasm/wasm.ts';
import type { GuestEngine } from '../../../sim/wasm/wasm.ts';
import { Bug, ok } from '../../../system/domain/outcome.ts';
import { CLOUD, SimWorld } from '../../contract/sim-world.ts';

const SECOND = 1_000_000;
const NO_ENGINE: GuestEngine = {
  inspect: () => ok([]),
  load: () => {
    throw new Bug('Invariant broken: nothing is loaded here');
  },
};

/** Its program takes `stopMicros` to stop, then writes down that it did; `version` is asked for at each start. */
function setUp(stopMicros: number) {
  const world = new SimWorld();
  const { kernel, network } = world;
  const said: string[] = [];
  const say = (what: string): void => void said.push(`${kernel.now() / SECOND} ${what}`);
  const state = { version: '1', isOff: false };
  const createProgram = (ports: ComputerPorts) => {
    const runs = state.version;
    let stopping = false;
    return {
      start: async () => {
        say(`version ${runs} starts`);
        return ok();
      },
      stop: async () => {
        if (stopping) return;
        stopping = true;
        await ports.clock.sleep(stopMicros);
        const journal = await ports.storage.journal('j');
        if (!journal.ok) throw new Error(journal.error.message);
        journal.value.append(new Uint8Array([1]), { expectedSequence: journal.value.lastSequence });
        say(`stopped with ${journal.value.lastSequence}`);
      },
    };
  };
  const nothing = (): void => {};
  const computer = new Computer(
    {
      kernel,
      network,
      services: new ServiceFaults(kernel, 'witness'),
      keys: new KeyRing({ crypto: nodeCrypto, random: createRandom(kernel, null), onForgery: nothing }),
      engine: NO_ENGINE,
      sink: new RecordSink(kernel),
      isKeptOff: () => state.isOff,
      recordMachine: { started: () => say('on'), stopped: (_, cause) => say(`off: ${cause}`), paused: nothing, resumed: nothing },
    },
    {
      name: 'truck',
      role: 'node',
      identity: 'node/truck',
      zone: CLOUD,
      cores: 1,
      fuelPerMicro: 1,
      profile: simulatedProfile('x86_64', []),
      profiles: [],
      createProgram,
    },
  );
  const until = (seconds: number): Promise<void> =>
    new Promise((resolve) => kernel.after(seconds * SECOND - kernel.now(), null, 'until', resolve));
  return { world, computer, said, state, until };
}

describe('a computer that is shut down', () => {
  it('stops its program in order, keeps what that wrote, and starts the version that was installed meanwhile', async () => {
    const { world, computer, said, state, until } = setUp(SECOND);
    await world.play(null, async () => {
      computer.commission();
      await until(1);
      state.isOff = true;
      state.version = '2';
      computer.shutDown();
      await until(5);
      state.isOff = false;
      computer.start();
      await until(6);
      computer.shutDown();
      await until(9);
    });
    expect(said.map((line) => line.replace(/^(\d+)\.000\d+/, '$1'))).toEqual([
      '0 on',
      '0 version 1 starts',
      '2 stopped with 1',
      '2 off: shut down',
      '5 on',
      '5 version 2 starts',
      '7 stopped with 2',
      '7 off: shut down',
      '7 on',
      '7 version 2 starts',
    ]);
  });

  it('twice at once is given all of its time to stop', async () => {
    const { world, computer, said, state, until } = setUp(3 * SECOND);
    await world.play(null, async () => {
      computer.commission();
      await until(1);
      state.isOff = true;
      computer.shutDown();
      await until(2);
      computer.shutDown();
      await until(9);
    });
    expect(said.slice(2).map((line) => line.replace(/\.000\d+/, ''))).toEqual(['4 stopped with 1', '4 off: shut down']);
  });

  it('is cut off when its program does not stop', async () => {
    const { world, computer, said, state, until } = setUp(1_000 * SECOND);
    await world.play(null, async () => {
      computer.commission();
      await until(1);
      state.isOff = true;
      computer.shutDown();
      await until(30);
    });
    expect(said.slice(2)).toEqual([`${1 + STOP_MICROS_MAX / SECOND} off: shut down`]);
  });
});
