// Where an instance goes and why (R4). Owns the fleet as columns and the decision over them; refuses to choose a node that is
// not feasible, whatever its score. Pure and exact: no time, no chance, no transcendental function of the engine.
// Surprising: distances to an origin are computed once per origin and kept as a column, so that a decision over 100,000 nodes
// is one pass over typed arrays (R4.6).
export { FEATURES_MAX, Fleet, type FleetNode } from './fleet.ts';
export { decide, DEFAULT_WEIGHTS, type PlacementRequest, type PlacementWeights } from './decide.ts';
export { distanceKm, estimateRttMicros } from './distance.ts';
export { landmarksOf, type OriginPlace } from './landmark.ts';
