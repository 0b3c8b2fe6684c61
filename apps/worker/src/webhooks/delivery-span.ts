/** The span of one attempt of a delivery, and the trace context that the receiver gets. */
import { publicId } from '@millrace/shared/predictions/public-ids';
import { isSampled, readTrace, traceText } from '@millrace/shared/tracing/trace-context';
import { endSpan, type Span, type Tracing, textOfSpan } from '@millrace/shared/tracing/tracing';
import type { ClaimedDelivery } from './due-deliveries.ts';
import type { AttemptRecord } from './record-outcome.ts';

/** Undefined for a delivery whose trace is not recorded. */
export function startDelivery(tracing: Tracing | undefined, delivery: ClaimedDelivery): Span | undefined {
  const { trace, event, endpoint, attempts } = delivery;
  if (tracing === undefined || trace === null || !isSampled(trace)) return undefined;
  return tracing.start('webhook POST', {
    kind: 'client',
    parent: trace,
    attributes: {
      'http.request.method': 'POST',
      'server.address': hostOf(delivery.url),
      'millrace.event.id': event.id,
      'millrace.event.type': event.type,
      'millrace.attempt': attempts + 1,
      ...(event.prediction === null ? {} : { 'millrace.prediction.id': publicId('pred', event.prediction) }),
      ...(endpoint === null ? {} : { 'millrace.endpoint.id': publicId('we', endpoint) }),
    },
  });
}

/** `traceparent` and `tracestate`: of the span, or of the request where no span is recorded. */
export function traceHeaders(span: Span | undefined, trace: string | null): Record<string, string> {
  const read = readTrace(span === undefined ? (trace ?? '') : textOfSpan(span));
  if (read === undefined) return {};
  const { state, ...parent } = read;
  return { traceparent: traceText(parent, undefined), ...(state === undefined ? {} : { tracestate: state }) };
}

/** `record` is undefined for an attempt that was aborted. */
export function endDelivery(span: Span | undefined, record: AttemptRecord | undefined): void {
  if (span === undefined) return;
  if (record === undefined) {
    endSpan(span, { error: { type: 'aborted', message: 'The worker stopped.' } });
    return;
  }
  const { replyStatus, error, status } = record;
  const attributes = replyStatus === null ? {} : { 'http.response.status_code': replyStatus };
  const type = error ?? String(replyStatus);
  endSpan(span, {
    attributes,
    ...(status === 'delivered' ? {} : { error: { type, message: 'The receiver did not accept the message.' } }),
  });
}

/** Without a path and a query, which can be secret. */
function hostOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    return '';
  }
}
