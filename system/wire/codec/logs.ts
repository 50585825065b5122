// Codec of the stream on which an operator reads what guests log. Decoders accept any bytes and never throw.
import type { Outcome } from '../../domain/outcome.ts';
import type { LogsMessage, LogsRequest } from '../../domain/logs.ts';
import { LogsMessageSchema, LogsRequestSchema } from '../generated/wasmmatrix/v1/operator_pb.js';
import { decodeWith, encodeWith, name, present, whole, wrong } from './fields.ts';
import { lineFrom, lineTo } from './parts.ts';
import { endedFrom, endedTo } from './watch.ts';

export function encodeLogsRequest(request: LogsRequest): Uint8Array {
  return encodeWith(LogsRequestSchema, request);
}

export function decodeLogsRequest(bytes: Uint8Array): Outcome<LogsRequest> {
  return decodeWith(LogsRequestSchema, bytes, ({ deployment, follow, lines }) => ({
    deployment: name(deployment, 'deployment'),
    follow,
    lines,
  }));
}

export function encodeLogsMessage(message: LogsMessage): Uint8Array {
  if (message.kind === 'ended') return encodeWith(LogsMessageSchema, { message: { case: 'ended', value: endedTo(message) } });
  const lines = message.lines.map((line) => ({ node: line.node, line: lineTo(line) }));
  return encodeWith(LogsMessageSchema, { message: { case: 'lines', value: { lines, dropped: BigInt(message.dropped) } } });
}

export function decodeLogsMessage(bytes: Uint8Array): Outcome<LogsMessage> {
  return decodeWith(LogsMessageSchema, bytes, ({ message }): LogsMessage => {
    switch (message.case) {
      case 'lines': {
        const lines = message.value.lines.map(({ node, line }) => ({
          node: name<'NodeId'>(node, 'lines.node'),
          ...lineFrom(present(line, 'lines.line'), 'lines.line'),
        }));
        return { kind: 'lines', lines, dropped: whole(message.value.dropped, 'lines.dropped') };
      }
      case 'ended':
        return endedFrom(message.value);
      default:
        return wrong('message', 'lines or ended, found none');
    }
  });
}
