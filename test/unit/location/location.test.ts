// The file that says where a machine is which moves (R1.5).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readLocation } from '../../../hardware/location/location.ts';

const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-location-'));
const file = join(folder, 'place');
afterAll(() => rmSync(folder, { recursive: true }));

describe('a file of a place', () => {
  test.each(['51.0885, 13.6590', ' 51.0885 13.6590\n', '51.0885,13.659'])('%j is one', (text) => {
    writeFileSync(file, text);
    expect(readLocation(file)).toEqual({ latitude: 51.0885, longitude: 13.659 });
  });

  test.each(['', '51.0885', '51.0885, ', ', 13.6590', '51.0885,, 13.6590', '51.0885 13.6590 120', 'north, east', '91, 0', '0, -181'])(
    '%j is none',
    (text) => {
      writeFileSync(file, text);
      expect(readLocation(file)).toBeNull();
    },
  );

  test('that is not there is none', () => expect(readLocation(join(folder, 'nothing'))).toBeNull());
});
