/** A collector of OpenTelemetry for tests: an HTTP server that takes OTLP in JSON and keeps the spans. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CollectedSpan {
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  /** '' for the first span of a trace. */
  parentSpanId: string;
  links: { traceId: string; spanId: string }[];
  attributes: Record<string, unknown>;
  error: boolean;
  startMs: number;
  endMs: number;
  /** The `service.name` and the process of the sender. */
  service: string;
  pid: number;
}

export interface Collector {
  url: string;
  readonly spans: readonly CollectedSpan[];
  /** The spans of a trace, in the order of their start. */
  traceOf(traceId: string): CollectedSpan[];
  close(): Promise<void>;
}

interface OtlpValue {
  stringValue?: string;
  intValue?: number | string;
  doubleValue?: number;
  boolValue?: boolean;
}
type OtlpAttributes = { key: string; value: OtlpValue }[];
interface OtlpSpan {
  name: string;
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  links?: { traceId: string; spanId: string }[];
  attributes?: OtlpAttributes;
  status?: { code?: number };
  startTimeUnixNano: string;
  endTimeUnixNano: string;
}
interface OtlpBody {
  resourceSpans: { resource: { attributes: OtlpAttributes }; scopeSpans: { spans: OtlpSpan[] }[] }[];
}

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as OtlpBody;
      for (const { resource, scopeSpans } of body.resourceSpans) {
        const from = attributesOf(resource.attributes);
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push(collected(span, from));
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    traceOf: (traceId) =>
      spans.filter((span) => span.traceId === traceId).sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function collected(span: OtlpSpan, resource: Record<string, unknown>): CollectedSpan {
  const { name, kind, traceId, spanId, parentSpanId = '', links = [] } = span;
  return {
    ...{ name, kind, traceId, spanId, parentSpanId },
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
    attributes: attributesOf(span.attributes ?? []),
    error: span.status?.code === 2,
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
    service: String(resource['service.name']),
    pid: Number(resource['process.pid']),
  };
}

const attributesOf = (attributes: OtlpAttributes): Record<string, unknown> =>
  Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );
