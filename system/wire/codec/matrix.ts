// A cell of the compatibility matrix, both ways.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { CELL_STATES, type MatrixCell } from '../../domain/matrix.ts';
import { ARCHITECTURES } from '../../domain/node.ts';
import type { MatrixCell as WireCell, MatrixCellSchema } from '../generated/wasmmatrix/v1/operator_pb.js';
import { branded, digest, errorCode, name, oneOf, optional, orNull, text, whole, wrong } from './fields.ts';

/** Bound: ISA features of one level. */
const FEATURES_MAX = 64;

export function cellTo(cell: MatrixCell): MessageInitShape<typeof MatrixCellSchema> {
  const { features, artefact, sizeBytes, compileMicros, code, ...same } = cell;
  return {
    ...same,
    features: [...features],
    ...optional('artefact', artefact),
    ...optional('sizeBytes', sizeBytes === null ? null : BigInt(sizeBytes)),
    ...optional('compileMicros', compileMicros === null ? null : BigInt(compileMicros)),
    ...optional('code', code),
  };
}

export function cellFrom(wire: WireCell): MatrixCell {
  if (wire.features.length > FEATURES_MAX) wrong('cells.features', `at most ${FEATURES_MAX}`);
  return {
    module: name(wire.module, 'cells.module'),
    version: wire.version,
    architecture: oneOf(wire.architecture, 'cells.architecture', ARCHITECTURES),
    level: text(wire.level, 'cells.level', 64),
    features: wire.features.map((feature) => text(feature, 'cells.features', 64)),
    target: text(wire.target, 'cells.target', 128),
    profile: branded(wire.profile, 'cells.profile'),
    state: oneOf(wire.state, 'cells.state', CELL_STATES),
    artefact: orNull(wire.artefact, (artefact) => digest(artefact, 'cells.artefact')),
    sizeBytes: orNull(wire.sizeBytes, (bytes) => whole(bytes, 'cells.size_bytes')),
    compileMicros: orNull(wire.compileMicros, (micros) => whole(micros, 'cells.compile_micros')),
    code: orNull(wire.code, (code) => errorCode(code, 'cells.code')),
    why: text(wire.why, 'cells.why'),
  };
}
