// Records written by hand, and the judgement of a goal over them: what a goal is tested with.
import type { Goal } from '../../../scenarios/goals/goals.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import type { RecordKind, RecordKinds } from '../../../system/domain/telemetry.ts';

export const MS = 1_000;
export const S = 1_000_000;

/** When the runs of these tests end. */
export const END_MICROS = 60 * S;

/** One record; who says it follows from its fields where that is a node, and is the controller otherwise. */
export function said<K extends RecordKind>(
  micros: number,
  kind: K,
  fields: RecordKinds[K],
  from: { readonly source?: string; readonly correlation?: string | null } = {},
): RunRecord {
  const agentKinds = /^(?:agent|artefact\.(?:fetched|loaded|refused)|invocation|capability|instance\.(?:serving|ended))/;
  const node = 'node' in fields && typeof fields.node === 'string' && agentKinds.test(kind) ? fields.node : 'controller';
  const testbed = /^(?:run|machine|fault|forgery|workload|operator|inventory)\.|\.observed$/.test(kind) ? 'testbed' : node;
  // The union's members all have this shape; TypeScript cannot see that K picks exactly one.
  return {
    source: from.source ?? testbed,
    incarnation: 1,
    sequence: 1,
    micros,
    kind,
    correlation: from.correlation ?? null,
    fields,
  } as unknown as RunRecord;
}

export function judge(goal: Goal, records: readonly RunRecord[], micros: number = END_MICROS): GoalResult {
  for (const record of records) goal.observe(record);
  return goal.finish({ micros });
}
