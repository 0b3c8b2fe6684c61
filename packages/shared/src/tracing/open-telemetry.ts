/** The only module that loads OpenTelemetry. Its exporter, sampler and processor read the standard settings themselves. */
import { randomUUID } from 'node:crypto';
import { createTraceState, DiagLogLevel, diag, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import {
  detectResources,
  envDetector,
  hostDetector,
  processDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { type Protocol, rootShareOf, type TracingParams } from './settings.ts';
import { Tracing } from './tracing.ts';

const CLOSE_MS = 2_000;

export async function openTelemetry(params: TracingParams, protocol: Protocol): Promise<Tracing> {
  const { service, version } = params;
  listenToWarnings(params);
  const processor = new BatchSpanProcessor(await exporterOf(protocol));
  // The attributes of the settings come last, so that these attributes count.
  const resource = resourceFromAttributes({
    'service.name': service,
    'service.version': version,
    'service.instance.id': randomUUID(),
  }).merge(detectResources({ detectors: [hostDetector, processDetector, envDetector] }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const always = new BasicTracerProvider({ resource, spanProcessors: [processor], sampler: new AlwaysOnSampler() });
  return new Tracing({
    tracer: provider.getTracer('millrace', version),
    alwaysTracer: always.getTracer('millrace', version),
    rootShare: rootShareOf(params.env),
    contextOf: (parent) => (parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)),
    traceStateOf: (text) => createTraceState(text),
    async close() {
      const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([processor.shutdown().catch(() => {}), late]);
    },
  });
}

async function exporterOf(protocol: Protocol) {
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}

/** A collector that is away costs spans, and no request: the processor drops spans, and each failed export is one warning. */
function listenToWarnings({ log }: TracingParams): void {
  const ignore = () => {};
  const say = (message: string) => log.warn({ reason: message.slice(0, 500) }, 'traces cannot be sent');
  diag.setLogger(
    { error: say, warn: say, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
