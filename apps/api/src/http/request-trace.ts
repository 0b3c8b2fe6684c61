/** The span of each request, where traces are switched on: its parent is the `traceparent` of the client. */
import { parseTraceParent, traceText } from '@millrace/shared/tracing/trace-context';
import {
  endSpan,
  inSpan,
  type Span,
  type SpanOptions,
  type Tracing,
  textOfSpan,
} from '@millrace/shared/tracing/tracing';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined where traces are switched off, and for a request that is in no trace. */
    trace?: RequestTrace;
  }
}

/** The trace of one request: a trace of its client, or a trace that begins here and is recorded. */
export class RequestTrace {
  readonly traceId: string;
  /** The context for parts of the request, as text. */
  readonly text: string;
  readonly #tracing: Tracing;
  /** Undefined for a trace that is not recorded: the client's context is passed on. */
  readonly #span: Span | undefined;

  constructor(tracing: Tracing, span: Span | undefined, text: string) {
    this.#tracing = tracing;
    this.#span = span;
    this.text = text;
    this.traceId = text.slice(3, 35);
  }

  get span(): Span | undefined {
    return this.#span;
  }

  /** Starts a part of the request. Undefined where the trace is not recorded. */
  start(name: string, options: SpanOptions = {}): Span | undefined {
    return this.#span && this.#tracing.start(name, { ...options, parent: this.text });
  }

  /** Runs a part of the request as a separate span. */
  step<T>(name: string, options: SpanOptions, step: () => T | Promise<T>): T | Promise<T> {
    const span = this.start(name, options);
    return span === undefined ? step() : inSpan(span, step);
  }
}

/** The status of a request whose client disconnected before the response. */
const DISCONNECTED = 499;
/** Routes whose requests are no work of a client: a probe each second would fill the trace store. */
const UNTRACED: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/** The hook must be the first: refusals of later hooks are in the trace too. */
export function traceRequests(app: FastifyInstance, tracing: Tracing): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { traceparent, tracestate } = request.raw.headers;
    const parent = parentOf(traceparent, tracestate);
    // The draw comes first: Fastify builds an object for each look at the route.
    if (tracing.draws(parent)) begin(tracing, { request, reply, parent });
    done();
  });
}

interface DrawnRequest {
  request: FastifyRequest;
  reply: FastifyReply;
  /** The text of the client's context. */
  parent: string | undefined;
}

function begin(tracing: Tracing, { request, reply: { raw }, parent }: DrawnRequest): void {
  const { method } = request;
  const route = request.routeOptions.url;
  if (route !== undefined && UNTRACED.has(route)) return;
  const span = tracing.startRequest(route === undefined ? method : `${method} ${route}`, parent);
  if (span === undefined) {
    if (parent !== undefined) request.trace = new RequestTrace(tracing, undefined, parent);
    return;
  }
  span.setAttributes({ 'http.request.method': method, 'millrace.request.id': request.id });
  if (route !== undefined) span.setAttribute('http.route', route);
  request.trace = new RequestTrace(tracing, span, textOfSpan(span));
  raw.once('close', () => {
    // The client closed the connection before the whole response was sent.
    const status = raw.writableFinished ? raw.statusCode : DISCONNECTED;
    const attributes = { 'http.response.status_code': status, 'millrace.tenant': request.tenant ?? '' };
    endSpan(span, { attributes, ...(status >= 500 ? { error: { type: String(status), message: '' } } : {}) });
  });
}

/** The text of the client's context; undefined for a missing or invalid `traceparent`. */
function parentOf(header: string | string[] | undefined, state: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  const parent = parseTraceParent(header.trim());
  return parent && traceText(parent, Array.isArray(state) ? state.join() : state);
}
