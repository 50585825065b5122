// Stock clients find our methods by the services of the .proto; we serve and call them by the paths of the domain.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DescFile, DescMethod, DescService } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { PROTOCOL_METHODS } from '../../../hardware/network/methods.ts';
import { SERVICES } from '../../../system/wire/codec/reflection.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PATH = /_METHOD = '(\/wasmmatrix\.[^']+)'/gu;

const inDomain = (): string[] =>
  globSync('system/domain/*.ts', { cwd: ROOT })
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(PATH)])
    .map(([, path]) => path!);

async function services(): Promise<DescService[]> {
  const files = globSync('system/wire/generated/wasmmatrix/v1/*_pb.js', { cwd: ROOT });
  const modules = (await Promise.all(files.map((file) => import(pathToFileURL(join(ROOT, file)).href)))) as Record<string, unknown>[];
  const descriptors = modules.flatMap((each) => Object.entries(each)).filter(([name]) => name.startsWith('file_'));
  return descriptors.flatMap(([, file]) => (file as DescFile).services);
}

const described = async (): Promise<DescMethod[]> => (await services()).flatMap(({ methods }) => methods);

const pathOf = ({ parent, name }: DescMethod): string => `/${parent.typeName}/${name}`;

it('describes each method that the domain names, and no other', async () => {
  const paths = inDomain();
  expect(paths.length).toBeGreaterThan(10);
  expect((await described()).map(pathOf).sort()).toEqual(paths.sort());
});

it('serves as streams the methods that are described as streams, and as calls the others', async () => {
  const methods = await described();
  const pathsOf = (isStream: boolean): string[] =>
    methods
      .filter(({ methodKind }) => (methodKind !== 'unary') === isStream)
      .map(pathOf)
      .sort();
  expect([...PROTOCOL_METHODS.calls].sort()).toEqual(pathsOf(false));
  expect([...PROTOCOL_METHODS.streams].sort()).toEqual(pathsOf(true));
});

it('lists every service to those who ask by reflection', async () => {
  expect([...SERVICES].sort()).toEqual((await services()).map(({ typeName }) => typeName).sort());
});

it('names every method in docs/reference/grpc.md, and no other', async () => {
  const page = readFileSync(join(ROOT, 'docs/reference/grpc.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(wasmmatrix\.[^`]+)`/gmu)].map(([, method]) => `/${method}`);
  expect(rows.sort()).toEqual((await described()).map(pathOf).sort());
});
