// Placement decisions with their reasons, both ways.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PlacementCandidate, PlacementDecision } from '../../domain/deployment.ts';
import type {
  PlacementCandidate as WireCandidate,
  PlacementCandidateSchema,
  PlacementDecision as WireDecision,
  PlacementDecisionSchema,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { finite, instanceId, name, optional, orNull, text } from './fields.ts';

function candidateTo(candidate: PlacementCandidate): MessageInitShape<typeof PlacementCandidateSchema> {
  return { node: candidate.node, score: candidate.score, factors: candidate.factors.map((factor) => ({ ...factor })) };
}

function candidateFrom(wire: WireCandidate): PlacementCandidate {
  return {
    node: name(wire.node, 'candidate.node'),
    score: finite(wire.score, 'candidate.score'),
    factors: wire.factors.map((factor) => ({
      name: text(factor.name, 'factor.name', 64),
      points: finite(factor.points, 'factor.points'),
      weight: finite(factor.weight, 'factor.weight'),
      why: text(factor.why, 'factor.why'),
    })),
  };
}

export function decisionTo(decision: PlacementDecision): MessageInitShape<typeof PlacementDecisionSchema> {
  return {
    instance: decision.instance,
    ...optional('chosen', decision.chosen === null ? null : candidateTo(decision.chosen)),
    runnersUp: decision.runnersUp.map(candidateTo),
    refused: decision.refused.map((refusal) => ({ ...refusal })),
    feasible: decision.feasible,
  };
}

export function decisionFrom(wire: WireDecision): PlacementDecision {
  return {
    instance: instanceId(wire.instance, 'decision.instance'),
    chosen: orNull(wire.chosen, candidateFrom),
    runnersUp: wire.runnersUp.map(candidateFrom),
    refused: wire.refused.map(({ reason, nodes, example }) => ({
      reason: text(reason, 'refused.reason'),
      nodes,
      example: name(example, 'refused.example'),
    })),
    feasible: wire.feasible,
  };
}
