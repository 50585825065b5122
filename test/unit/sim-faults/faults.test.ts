// When faults begin and end, what they call on machines, and what the record says of them.
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../hardware/keys/keys.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { Faults } from '../../../sim/faults/faults.ts';
import { ServiceFaults } from '../../../sim/faults/services.ts';
import { KeyRing } from '../../../sim/keys/keys.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { MachineTime } from '../../../sim/kernel/machine-time.ts';
import { DISK_COSTS } from '../../../sim/costs/costs.ts';
import { createDisk } from '../../../sim/storage/storage.ts';
import { RecordSink } from '../../../sim/telemetry/telemetry.ts';
import type { Digest, ModuleName, ProfileId } from '../../../system/domain/identifiers.ts';
import { artefactText, manifestText } from '../../../system/domain/module.ts';
import { SimWorld } from '../../contract/sim-world.ts';

const SECOND = 1_000_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function setUp() {
  const world = new SimWorld();
  const { kernel, network } = world;
  const said: string[] = [];
  const sink = new RecordSink(kernel);
  sink.onRecord((record: RunRecord) =>
    said.push(`${record.micros / SECOND} ${record.kind} ${'fault' in record.fields ? record.fields.fault : ''}`.trim()),
  );
  const telemetry = sink.portOf('testbed', 1, () => true);
  const keys = new KeyRing({
    crypto: nodeCrypto,
    random: createRandom(kernel, null),
    onForgery: (digest) => telemetry.record('forgery.made', { what: 'artefact', digest, detail: '' }),
  });
  const done = (what: string) => (machine: string) => void said.push(`${kernel.now() / SECOND} ${what} ${machine}`);
  let isOn = true;
  const faults = new Faults({
    kernel,
    network,
    keys,
    services: new ServiceFaults(kernel, 'witness'),
    telemetry,
    machines: {
      knows: (machine) => machine === 'truck',
      crash: (machine) => {
        isOn = false;
        done('crash')(machine);
      },
      start: (machine) => {
        isOn = true;
        done('start')(machine);
      },
      pause: done('pause'),
      resume: done('resume'),
      shutDown: done('shut down'),
      install: (machine, version) => void said.push(`${kernel.now() / SECOND} install ${version} on ${machine}`),
      babble: () => {},
      squeeze: () => {},
      runs: () => isOn,
      disk: () => createDisk(kernel.stream('disk'), DISK_COSTS),
      throttle: (machine, slowness) => void said.push(`${kernel.now() / SECOND} throttle ${machine} ${slowness}`),
      clocks: () => new MachineTime(kernel),
      restored: done('restored'),
      fill: done('fill'),
      free: done('free'),
    },
  });
  const until = (seconds: number) => new Promise<void>((resolve) => kernel.after(seconds * SECOND - kernel.now(), null, 'until', resolve));
  return { world, keys, faults, said, until };
}

describe('faults', () => {
  it('end on their own after their time', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      await until(1);
      faults.inject('off', { kind: 'crash', machine: 'truck', forMicros: 2 * SECOND });
      await until(4);
      faults.inject('still', { kind: 'pause', machine: 'truck', forMicros: SECOND });
      await until(9);
    });
    expect(said).toEqual([
      '1 fault.begun off',
      '1 fault.felt off',
      '1 crash truck',
      '3 fault.ended off',
      '3 start truck',
      '4 fault.begun still',
      '4 fault.felt still',
      '4 pause truck',
      '5 fault.ended still',
      '5 resume truck',
    ]);
  });

  it('start a machine only when the last crash of it has ended', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('short', { kind: 'crash', machine: 'truck', forMicros: SECOND });
      faults.inject('long', { kind: 'crash', machine: 'truck', forMicros: 3 * SECOND });
      await until(2);
      expect(faults.keepsOff('truck')).toBe(true);
      await until(9);
    });
    expect(said.filter((line) => line.includes('start'))).toEqual(['3 start truck']);
  });

  it('all end when they are healed, and not a second time', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('off', { kind: 'crash', machine: 'truck', forMicros: null });
      faults.inject('cut', { kind: 'partition', a: ['cloud'], b: ['fleet'], forMicros: 5 * SECOND });
      await until(2);
      faults.healAll();
      faults.healAll();
      await until(9);
    });
    expect(said.slice(4)).toEqual(['2 fault.ended off', '2 fault.ended cut', '2 start truck']);
  });

  it('are felt once each, and not by a machine that is off, over a way that nobody uses, or on a disk that nobody asks', async () => {
    const { world, faults, said, until } = setUp();
    const nowhere = { a: ['fleet'], b: ['cloud'] };
    await world.play(null, async () => {
      faults.inject('off', { kind: 'crash', machine: 'truck', forMicros: SECOND });
      await until(0.5);
      faults.inject('again', { kind: 'pause', machine: 'truck', forMicros: SECOND });
      faults.inject('cut', { kind: 'partition', ...nowhere, forMicros: SECOND });
      faults.inject('full', { kind: 'disk-full', machine: 'truck', forMicros: SECOND });
      faults.inject('rotten', { kind: 'disk-rot', machine: 'truck', lastCopy: false, forMicros: 0 });
      await until(3);
      faults.inject('on', { kind: 'pause', machine: 'truck', forMicros: SECOND });
      await until(9);
    });
    expect(said.filter((line) => line.includes('felt'))).toEqual(['0 fault.felt off', '3 fault.felt on']);
  });

  it('give a disk its room back when the last fault that fills it has ended', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('first', { kind: 'disk-full', machine: 'truck', forMicros: SECOND });
      faults.inject('second', { kind: 'disk-full', machine: 'truck', forMicros: 2 * SECOND });
      await until(4);
    });
    expect(said.filter((line) => / (?:fill|free) /.test(line))).toEqual(['0 fill truck', '0 fill truck', '2 free truck']);
  });

  it('keep a machine off until the last reboot, upgrade, wipe or crash of it has ended', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('new', { kind: 'upgrade', machine: 'truck', version: '2.0.0', forMicros: 3 * SECOND });
      faults.inject('again', { kind: 'reboot', machine: 'truck', forMicros: SECOND });
      faults.inject('empty', { kind: 'wipe', machine: 'truck', lastCopy: false, forMicros: 2 * SECOND });
      await until(9);
    });
    expect(said.filter((line) => !line.includes('fault.'))).toEqual([
      '0 install 2.0.0 on truck',
      '0 shut down truck',
      '0 shut down truck',
      '0 crash truck',
      '0 restored truck',
      '3 start truck',
    ]);
  });

  it('put a copy of a disk back while its machine is off, and not one that nobody needed any more', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('old', { kind: 'restore', machine: 'truck', offMicros: SECOND, lastCopy: false, forMicros: 3 * SECOND });
      await until(1);
      expect(faults.keepsOff('truck')).toBe(false);
      await until(2.5);
      expect(faults.keepsOff('truck')).toBe(true);
      await until(5);
      faults.inject('spare', { kind: 'restore', machine: 'truck', offMicros: SECOND, lastCopy: false, forMicros: 3 * SECOND });
      faults.healAll();
      await until(9);
    });
    expect(said).toEqual([
      '0 fault.begun old',
      '2 fault.felt old',
      '2 crash truck',
      '2 restored truck',
      '3 fault.ended old',
      '3 start truck',
      '5 fault.begun spare',
      '5 fault.ended spare',
      '5 start truck',
    ]);
  });

  it('slow a machine down by the product of those that last', async () => {
    const { world, faults, said, until } = setUp();
    await world.play(null, async () => {
      faults.inject('hot', { kind: 'throttle', machine: 'truck', factor: 3, forMicros: 2 * SECOND });
      faults.inject('flat', { kind: 'throttle', machine: 'truck', factor: 5, forMicros: SECOND });
      await until(4);
    });
    expect(said.filter((line) => line.includes(' throttle '))).toEqual([
      '0 throttle truck 3',
      '0 throttle truck 15',
      '1 throttle truck 3',
      '2 throttle truck 1',
    ]);
  });

  it('are refused for machines that are not there', () => {
    const { faults } = setUp();
    const refused = faults.inject('x', { kind: 'pause', machine: 'lorry', forMicros: SECOND });
    expect(refused.ok ? 'ok' : refused.error.code).toBe('WM_SCENARIO_INVALID');
  });

  it('make the controller, and nobody else, sign with another key, and say which artefact', async () => {
    const { world, keys, faults, said, until } = setUp();
    const artefact = `sha256:${'a'.repeat(64)}` as Digest;
    const statement = bytes(
      artefactText({ module: `sha256:${'b'.repeat(64)}` as Digest, target: 't', profile: 'p' as ProfileId, artefact, sizeBytes: 1 }),
    );
    const manifest = bytes(
      manifestText({
        name: 'm' as ModuleName,
        digest: artefact,
        capabilities: [],
        limits: { fuelMax: 1, memoryBytesMax: 1, outputBytesMax: 1 },
      }),
    );
    const controller = keys.portOf('controller', () => Promise.resolve());
    const valid = async (name: string, message: Uint8Array): Promise<boolean> => {
      const [key, signature] = [await controller.open(name), await controller.sign(name, message)];
      if (!key.ok || !signature.ok) throw new Error('no key');
      return controller.verify(key.value.publicKey, message, signature.value);
    };
    await world.play(null, async () => {
      expect(await valid('controller', statement)).toBe(true);
      faults.inject('lie', { kind: 'forge-artefact', forMicros: SECOND });
      expect(await valid('controller', statement)).toBe(false);
      expect(await valid('ops', manifest)).toBe(true);
      await until(2);
      expect(await valid('controller', statement)).toBe(true);
    });
    expect(said).toEqual(['0 fault.begun lie', '0 forgery.made', '1 fault.ended lie']);
  });
});
