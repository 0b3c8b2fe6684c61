/**
 * Spans of OpenTelemetry. Parents and links are given as the text of a trace context (trace-context.ts), because contexts travel
 * through Redis, the ledger and HTTP, and not through the calls of one process. Only types of OpenTelemetry are imported here.
 */
import type { Attributes, Link, SpanOptions as OtelOptions, Span, SpanContext, Tracer } from '@opentelemetry/api';
import { readTrace, traceText } from './trace-context.ts';

export type { Span } from '@opentelemetry/api';

/** The values of OpenTelemetry's SpanKind and SpanStatusCode. */
const KINDS = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const;
const ERROR = 2;
const SAMPLED = 1;

export interface SpanOptions {
  kind?: keyof typeof KINDS;
  /** The text of the parent's context. Without a valid parent the span begins a trace. */
  parent?: string | undefined;
  /** Texts of contexts. */
  links?: readonly string[];
  attributes?: Attributes;
  /** Unix ms; now if absent. */
  startMs?: number;
  /** The span is recorded whatever the sampler would decide, because a linked trace is sampled. */
  always?: boolean;
}

export interface SpanEnd {
  /** Unix ms; now if absent. */
  endMs?: number;
  attributes?: Attributes;
  /** The span ends in error. */
  error?: { type: string; message: string };
}

/** A whole span that has ended. */
export type EndedSpan = SpanOptions & SpanEnd & { startMs: number };

/** The parts of OpenTelemetry that open-telemetry.ts loads. */
export interface TracingParts {
  tracer: Tracer;
  /** Records every span. */
  alwaysTracer: Tracer;
  /** See rootShareOf. */
  rootShare: number | undefined;
  contextOf(parent: SpanContext | undefined): Parameters<Tracer['startSpan']>[2];
  traceStateOf(text: string): SpanContext['traceState'];
  close(): Promise<void>;
}

export class Tracing {
  readonly #parts: TracingParts;

  constructor(parts: TracingParts) {
    this.#parts = parts;
  }

  start(name: string, options: SpanOptions = {}): Span {
    const { kind = 'internal', parent, links, attributes, startMs, always = false } = options;
    const { tracer, alwaysTracer, contextOf } = this.#parts;
    const context = contextOf(parent === undefined ? undefined : this.#contextIn(parent));
    const given: OtelOptions = { kind: KINDS[kind] };
    if (links !== undefined) given.links = this.#linksTo(links);
    if (attributes !== undefined) given.attributes = attributes;
    if (startMs !== undefined) given.startTime = startMs;
    return (always ? alwaysTracer : tracer).startSpan(name, given, context);
  }

  #linksTo(texts: readonly string[]): Link[] {
    return texts.flatMap((text) => {
      const context = this.#contextIn(text);
      return context === undefined ? [] : [{ context }];
    });
  }

  /**
   * Draws whether the trace of a request may be recorded. Costs nearly nothing, because most requests are not drawn. A request with
   * a parent may always be recorded: the sampler decides, by the parent.
   */
  draws(parent: string | undefined): boolean {
    const { rootShare } = this.#parts;
    return parent !== undefined || rootShare === undefined || Math.random() < rootShare;
  }

  /** Starts the span of a request that was drawn. Undefined where the sampler decides against it. */
  startRequest(name: string, parent: string | undefined): Span | undefined {
    // Without a parent the draw has decided.
    const always = parent === undefined && this.#parts.rootShare !== undefined;
    const span = this.start(name, { kind: 'server', parent, always });
    return span.isRecording() ? span : undefined;
  }

  /** Writes a span that is over. */
  record(name: string, { endMs, error, ...options }: EndedSpan): void {
    endSpan(this.start(name, options), { ...(endMs ? { endMs } : {}), ...(error ? { error } : {}) });
  }

  /** Sends the spans that wait. Resolves within two seconds. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  #contextIn(text: string): SpanContext | undefined {
    const read = readTrace(text);
    if (read === undefined) return undefined;
    const { traceId, spanId, sampled, state } = read;
    const traceState = state === undefined ? undefined : this.#parts.traceStateOf(state);
    return {
      ...{ traceId, spanId, traceFlags: sampled ? SAMPLED : 0, isRemote: true },
      ...(traceState === undefined ? {} : { traceState }),
    };
  }
}

/** The text of a span's context. */
export function textOfSpan(span: Span): string {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  return traceText({ traceId, spanId, sampled: (traceFlags & SAMPLED) === SAMPLED }, traceState?.serialize());
}

export function endSpan(span: Span, { endMs, attributes, error }: SpanEnd = {}): void {
  if (attributes !== undefined) span.setAttributes(attributes);
  if (error !== undefined) {
    span.setAttribute('error.type', error.type);
    span.setStatus({ code: ERROR, message: error.message });
  }
  if (endMs === undefined) span.end();
  else span.end(endMs);
}

/** Runs a step as a span that begins and ends with the step. */
export function inSpan<T>(span: Span, step: () => T | Promise<T>): T | Promise<T> {
  const failed = (error: unknown): never => {
    endSpan(span, { error: errorOf(error) });
    throw error;
  };
  let made: T | Promise<T>;
  try {
    made = step();
  } catch (error) {
    return failed(error);
  }
  if (!(made instanceof Promise)) {
    span.end();
    return made;
  }
  return made.then((value) => {
    span.end();
    return value;
  }, failed);
}

/** Without the message of the error: a message can have a caller's data. */
export function errorOf(error: unknown): { type: string; message: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const name = error instanceof Error ? error.name : 'Error';
  return { type: (code ?? name).slice(0, 100), message: name };
}
