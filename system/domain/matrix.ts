// The compatibility matrix (R11.5): for each module version, for which ISA feature level of which architecture there is code, how
// large, how long it took, or why there is none. One cell for each profile that nodes have or this controller can compile for.
import type { ErrorCode } from './errors.ts';
import type { Digest, ModuleName, ProfileId } from './identifiers.ts';
import type { Architecture } from './node.ts';

/**
 * ready: nodes of the level may run it. waiting: it is about to be compiled. refused: it cannot be compiled, for `why`.
 * unused: no node has the level, so it was not compiled.
 */
export type CellState = 'ready' | 'waiting' | 'refused' | 'unused';
export const CELL_STATES: readonly CellState[] = ['ready', 'waiting', 'refused', 'unused'];

export type MatrixCell = {
  readonly module: ModuleName;
  readonly version: number;
  readonly architecture: Architecture;
  /** Name of the ISA feature level, and what its code may use beyond the baseline. */
  readonly level: string;
  readonly features: readonly string[];
  readonly target: string;
  readonly profile: ProfileId;
  readonly state: CellState;
  /** Of a cell that is ready. */
  readonly artefact: Digest | null;
  readonly sizeBytes: number | null;
  /** Null also where it was not measured. */
  readonly compileMicros: number | null;
  /** Of a cell that is refused. */
  readonly code: ErrorCode | null;
  /** Empty when it is ready. */
  readonly why: string;
};

/** `hello@2/x86_64/x86-64-v3`: what people call it. */
export function nameOfCell({
  module,
  version,
  architecture,
  level,
}: Pick<MatrixCell, 'module' | 'version' | 'architecture' | 'level'>): string {
  return `${module}@${version}/${architecture}/${level}`;
}

/** Two profiles may be of one level: nodes of an older version, for one. */
export function keyOfCell(cell: MatrixCell): string {
  return `${nameOfCell(cell)}/${cell.profile}`;
}
