// Parts that several messages share, both ways.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { FencingToken } from '../../domain/event.ts';
import type { ModuleManifest, Signature, SignedArtefact, TrustedKey } from '../../domain/module.ts';
import type { Epoch } from '../../domain/identifiers.ts';
import { LOG_LEVELS, type GuestLine } from '../../domain/logs.ts';
import { ARCHITECTURES, type NodeFacts, type NodeLoad } from '../../domain/node.ts';
import type {
  FencingToken as WireFence,
  FencingTokenSchema,
  GuestLine as WireLine,
  GuestLineSchema,
  ModuleManifest as WireManifest,
  ModuleManifestSchema,
  NodeFacts as WireFacts,
  NodeFactsSchema,
  NodeLoad as WireLoad,
  NodeLoadSchema,
  Signature as WireSignature,
  SignatureSchema,
  SignedArtefact as WireArtefact,
  SignedArtefactSchema,
  TrustedKey as WireKey,
  TrustedKeySchema,
} from '../generated/wasmmatrix/v1/common_pb.js';
import { branded, bytesOf, digest, finite, instanceId, name, oneOf, present, text, whole, wrong, zone } from './fields.ts';

/** Bound: capabilities of one module or key. */
const CAPABILITIES_MAX = 256;

export function signatureTo(signature: Signature): MessageInitShape<typeof SignatureSchema> {
  return { key: signature.key, bytes: signature.bytes };
}

export function signatureFrom(wire: WireSignature, field: string): Signature {
  return { key: branded(wire.key, `${field}.key`), bytes: bytesOf(wire.bytes, `${field}.bytes`, 64) };
}

export function manifestTo(manifest: ModuleManifest): MessageInitShape<typeof ModuleManifestSchema> {
  return {
    name: manifest.name,
    digest: manifest.digest,
    capabilities: [...manifest.capabilities],
    limits: {
      fuelMax: BigInt(manifest.limits.fuelMax),
      memoryBytesMax: BigInt(manifest.limits.memoryBytesMax),
      outputBytesMax: BigInt(manifest.limits.outputBytesMax),
    },
  };
}

export function manifestFrom(wire: WireManifest, field: string): ModuleManifest {
  const limits = present(wire.limits, `${field}.limits`);
  return {
    name: name(wire.name, `${field}.name`),
    digest: digest(wire.digest, `${field}.digest`),
    capabilities: capabilitiesFrom(wire.capabilities, `${field}.capabilities`),
    limits: {
      fuelMax: whole(limits.fuelMax, `${field}.limits.fuel_max`),
      memoryBytesMax: whole(limits.memoryBytesMax, `${field}.limits.memory_bytes_max`),
      outputBytesMax: whole(limits.outputBytesMax, `${field}.limits.output_bytes_max`),
    },
  };
}

export function capabilitiesFrom(texts: readonly string[], field: string): readonly string[] {
  if (texts.length > CAPABILITIES_MAX) wrong(field, `at most ${CAPABILITIES_MAX}, found ${texts.length}`);
  return texts.map((capability) => text(capability, field, 256));
}

export function trustedKeyTo(key: TrustedKey): MessageInitShape<typeof TrustedKeySchema> {
  return { key: key.key, publicKey: key.publicKey, mayGrant: [...key.mayGrant], revoked: key.revoked, ...notAfterTo(key.notAfterMs) };
}

export function notAfterTo(notAfterMs: number | undefined): { readonly notAfterMs?: bigint } {
  return notAfterMs === undefined ? {} : { notAfterMs: BigInt(notAfterMs) };
}

export function notAfterFrom(notAfterMs: bigint | undefined, field: string): { readonly notAfterMs?: number } {
  return notAfterMs === undefined ? {} : { notAfterMs: whole(notAfterMs, field) };
}

export function trustedKeyFrom(wire: WireKey, field: string): TrustedKey {
  return {
    key: branded(wire.key, `${field}.key`),
    publicKey: bytesOf(wire.publicKey, `${field}.public_key`, 32),
    mayGrant: capabilitiesFrom(wire.mayGrant, `${field}.may_grant`),
    revoked: wire.revoked,
    ...notAfterFrom(wire.notAfterMs, `${field}.not_after_ms`),
  };
}

export function artefactTo({ statement, signature }: SignedArtefact): MessageInitShape<typeof SignedArtefactSchema> {
  return { ...statement, sizeBytes: BigInt(statement.sizeBytes), signature: signatureTo(signature) };
}

export function artefactFrom(wire: WireArtefact, field: string): SignedArtefact {
  return {
    statement: {
      module: digest(wire.module, `${field}.module`),
      target: text(wire.target, `${field}.target`, 128),
      profile: branded(wire.profile, `${field}.profile`),
      artefact: digest(wire.artefact, `${field}.artefact`),
      sizeBytes: whole(wire.sizeBytes, `${field}.size_bytes`),
    },
    signature: signatureFrom(present(wire.signature, `${field}.signature`), `${field}.signature`),
  };
}

export function factsTo(facts: NodeFacts): MessageInitShape<typeof NodeFactsSchema> {
  const { location, memoryBytes, isaFeatures, hardware, ...same } = facts;
  return {
    ...same,
    isaFeatures: [...isaFeatures],
    hardware: [...hardware],
    memoryBytes: BigInt(memoryBytes),
    latitude: location.latitude,
    longitude: location.longitude,
  };
}

export function factsFrom(wire: WireFacts, field: string): NodeFacts {
  return {
    node: name(wire.node, `${field}.node`),
    architecture:
      ARCHITECTURES.find((architecture) => architecture === wire.architecture) ??
      wrong(`${field}.architecture`, `one of ${ARCHITECTURES.join(', ')}`),
    isaFeatures: wire.isaFeatures.map((feature) => text(feature, `${field}.isa_features`, 64)),
    cores: wire.cores,
    memoryBytes: whole(wire.memoryBytes, `${field}.memory_bytes`),
    hardware: wire.hardware.map((hardware) => text(hardware, `${field}.hardware`, 64)),
    location: { latitude: degrees(wire.latitude, 90, `${field}.latitude`), longitude: degrees(wire.longitude, 180, `${field}.longitude`) },
    zone: zone(wire.zone, `${field}.zone`),
    faultDomain: zone(wire.faultDomain, `${field}.fault_domain`),
    profile: branded(wire.profile, `${field}.profile`),
    target: text(wire.target, `${field}.target`, 128),
    agentVersion: text(wire.agentVersion, `${field}.agent_version`, 64),
    endpoint: branded(wire.endpoint, `${field}.endpoint`),
  };
}

export function degrees(value: number, most: number, field: string): number {
  return Math.abs(finite(value, field)) <= most ? value : wrong(field, `-${most} to ${most} degrees, found ${value}`);
}

export function loadTo(load: NodeLoad): MessageInitShape<typeof NodeLoadSchema> {
  return { ...load, memoryBytesFree: BigInt(load.memoryBytesFree) };
}

export function loadFrom(wire: WireLoad, field: string): NodeLoad {
  return {
    cpuPermille: wire.cpuPermille,
    memoryBytesFree: whole(wire.memoryBytesFree, `${field}.memory_bytes_free`),
    invocationsActive: wire.invocationsActive,
  };
}

export function lineTo(line: GuestLine): MessageInitShape<typeof GuestLineSchema> {
  const { timeMs, instance, version, level, event, correlation, text: said } = line;
  return { timeMs: BigInt(timeMs), instance, version, level, event, correlation, text: said };
}

export function lineFrom(wire: WireLine, field: string): GuestLine {
  return {
    timeMs: whole(wire.timeMs, `${field}.time_ms`),
    instance: instanceId(wire.instance, `${field}.instance`),
    version: wire.version,
    level: oneOf(wire.level, `${field}.level`, LOG_LEVELS),
    event: text(wire.event, `${field}.event`, 256) as GuestLine['event'],
    correlation: text(wire.correlation, `${field}.correlation`, 256) as GuestLine['correlation'],
    text: text(wire.text, `${field}.text`),
  };
}

export function fenceTo(fence: FencingToken): MessageInitShape<typeof FencingTokenSchema> {
  return { instance: fence.instance, epoch: BigInt(fence.epoch) };
}

export function fenceFrom(wire: WireFence | undefined): FencingToken | null {
  return wire === undefined
    ? null
    : { instance: instanceId(wire.instance, 'fence.instance'), epoch: whole(wire.epoch, 'fence.epoch') as Epoch };
}
