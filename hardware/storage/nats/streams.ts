// The streams of a store: made as it needs them, and refused where somebody made them otherwise. A stream with a limit forgets
// records by itself, one that answers before it has written loses them: either would be a store that lies.
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { JetStreamManager, StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import { describeAnswer } from './answers.ts';

/** Version of what is in the streams and how; a stream says it in its metadata. */
const STREAM_VERSION = 1;
const VERSION_KEY = 'wasmmatrix.store';

/** What a stream must be, beside its name and subjects. */
const LASTING: Partial<StreamConfig> = {
  retention: 'limits',
  storage: 'file',
  discard: 'new',
  max_age: 0,
  max_msgs: -1,
  max_bytes: -1,
  max_msg_size: -1,
  max_consumers: -1,
};

const KEPT = [
  'retention',
  'storage',
  'discard',
  'max_age',
  'max_msgs',
  'max_msg_size',
  'max_msgs_per_subject',
  'sealed',
  'deny_purge',
  'allow_direct',
  'allow_atomic',
] as const satisfies readonly (keyof StreamConfig)[];

export type StreamWanted = Pick<StreamConfig, 'name' | 'subjects' | 'num_replicas'> & Partial<StreamConfig>;

export function journalStream(name: string, subject: string, replicas: number): StreamWanted {
  return {
    ...LASTING,
    name,
    subjects: [subject],
    num_replicas: replicas,
    max_msgs_per_subject: -1,
    allow_direct: true,
    allow_atomic: true,
    deny_delete: true,
    deny_purge: false,
    sealed: false,
  };
}

/** A key-value bucket as the tools of NATS know them. Read through the leader of the stream: replicas may lag behind. */
export function bucketStream(bucket: string, replicas: number): StreamWanted {
  return {
    ...LASTING,
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    allow_direct: false,
    allow_rollup_hdrs: true,
    deny_delete: true,
    deny_purge: false,
    sealed: false,
  };
}

/** An object store as the tools of NATS know them. */
export function objectStream(bucket: string, replicas: number): StreamWanted {
  return {
    ...LASTING,
    name: `OBJ_${bucket}`,
    subjects: [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`],
    num_replicas: replicas,
    max_msgs_per_subject: -1,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_purge: false,
    sealed: false,
  };
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | null> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}

/** Opens a stream, or makes it; two processes that make it at once both get it. */
export async function openStream(manager: JetStreamManager, wanted: StreamWanted): Promise<Outcome<StreamInfo>> {
  try {
    const found =
      (await findStream(manager, wanted.name)) ??
      (await manager.streams.add({ ...wanted, metadata: { [VERSION_KEY]: String(STREAM_VERSION) } }));
    return checkStream(found, wanted) ?? ok(found);
  } catch (error) {
    return describeAnswer(error, `stream ${wanted.name}`, 'opened');
  }
}

function checkStream({ config }: StreamInfo, wanted: StreamWanted): Err | null {
  const version = Number(config.metadata?.[VERSION_KEY] ?? Number.NaN);
  if (!(version >= 1 && version <= STREAM_VERSION)) {
    const said = Number.isNaN(version)
      ? 'is none of WasmMatrix'
      : `has version ${version}; this program knows versions up to ${STREAM_VERSION}`;
    return rejected('WM_STORAGE_VERSION', {
      message: `Stream ${config.name} ${said}.`,
      next: 'Give the store another name, or start the version of the program that wrote it; nothing was changed.',
      detail: { stream: config.name },
    });
  }
  const differs: string[] = KEPT.filter((key) => wanted[key] !== undefined && (config[key] ?? false) !== wanted[key]);
  if (config.subjects.join(' ') !== wanted.subjects?.join(' ')) differs.push('subjects');
  if (config.persist_mode === 'async') differs.push('persist_mode');
  if (config.mirror !== undefined || (config.sources ?? []).length > 0) differs.push('mirror or sources');
  if (differs.length === 0) return null;
  return rejected('WM_STORAGE_UNSUITABLE', {
    message: `Stream ${config.name} was changed: ${differs.join(', ')} would make it lose records.`,
    next: 'Set the stream back as docs/howto/production.md has it, or give the store another name.',
    detail: { stream: config.name, differs: differs.join(' ') },
  });
}
