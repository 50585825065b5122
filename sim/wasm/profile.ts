// Compile profiles of simulated nodes. They stand for engine settings that the simulator does not have, so that an artefact
// fits the nodes that it would fit.
import type { ProfileId } from '../../system/domain/identifiers.ts';
import { levelOf } from '../../system/domain/isa.ts';
import type { Architecture } from '../../system/domain/node.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';

const TARGETS: Readonly<Record<Architecture, string>> = {
  x86_64: 'x86_64-unknown-linux-gnu',
  aarch64: 'aarch64-unknown-linux-gnu',
  riscv64: 'riscv64gc-unknown-linux-gnu',
};

export function simulatedProfile(architecture: Architecture, isaFeatures: readonly string[]): CompileProfile {
  const features = [...isaFeatures].sort();
  const level = levelOf(architecture, features).name;
  return { profile: ['sim', architecture, ...features].join('+') as ProfileId, target: TARGETS[architecture], level };
}
