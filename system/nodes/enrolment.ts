// Who is let in: the identity that the connection shows must be the node's own, the token must be the fleet's, and the facts
// must be ones that a machine can have (R13.7).
import { isName, isZonePath } from '../domain/identifiers.ts';
import { ARCHITECTURES, type NodeFacts } from '../domain/node.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';

/** Bounds of what a node may say of itself. */
const CORES_MAX = 4_096;
const FEATURES_MAX = 256;
const TEXT_LENGTH_MAX = 128;

function refuse(message: string, next: string): Outcome<never> {
  return rejected('WM_NODE_REFUSED', { message, next });
}

/** The first thing that is wrong with `facts`, as a sentence; null when nothing is. */
function describeFault(facts: NodeFacts): string | null {
  const texts = [...facts.isaFeatures, ...facts.hardware, facts.profile, facts.target, facts.agentVersion, facts.endpoint];
  if (!isName(facts.node)) return `Node name '${facts.node}' is not 1 to 63 lower-case letters, digits and inner hyphens.`;
  if (!ARCHITECTURES.includes(facts.architecture)) return `Architecture '${facts.architecture}' is none of ${ARCHITECTURES.join(', ')}.`;
  if (!Number.isInteger(facts.cores) || facts.cores < 1 || facts.cores > CORES_MAX)
    return `${facts.cores} cores is not a whole number from 1 to ${CORES_MAX}.`;
  if (!Number.isSafeInteger(facts.memoryBytes) || facts.memoryBytes < 0)
    return `${facts.memoryBytes} bytes of memory is not a whole number from 0.`;
  if (facts.isaFeatures.length > FEATURES_MAX || facts.hardware.length > FEATURES_MAX) return `More than ${FEATURES_MAX} features.`;
  if (!(Math.abs(facts.location.latitude) <= 90) || !(Math.abs(facts.location.longitude) <= 180))
    return 'The location is no point on Earth (latitude -90 to 90, longitude -180 to 180 degrees).';
  if (!isZonePath(facts.zone)) return `Zone '${facts.zone}' is no path such as cloud/eu-west.`;
  if (!isZonePath(facts.faultDomain)) return `Fault domain '${facts.faultDomain}' is no path such as cloud/eu-west/rack-3.`;
  if (texts.some((text) => text.length === 0 || text.length > TEXT_LENGTH_MAX))
    return `A name of a feature, profile, target, version or endpoint is empty or longer than ${TEXT_LENGTH_MAX} characters.`;
  return null;
}

/** What a node says of itself, when it enrols and later. */
export function checkFacts(facts: NodeFacts): Outcome<void> {
  const fault = describeFault(facts);
  return fault === null ? ok() : refuse(fault, 'Correct what the agent says of its node.');
}

export function checkHello(
  hello: { readonly facts: NodeFacts; readonly joinToken: string },
  peer: string,
  joinToken: string,
): Outcome<void> {
  const identity = `node/${hello.facts.node}`;
  if (peer !== identity)
    return refuse(
      `The connection belongs to ${peer}, and the agent says that it is ${identity}.`,
      'Give the agent the certificate of its own node.',
    );
  if (hello.joinToken !== joinToken)
    return refuse(`The join token of ${identity} is not the one of this control plane.`, 'Give the agent the current join token.');
  return checkFacts(hello.facts);
}
