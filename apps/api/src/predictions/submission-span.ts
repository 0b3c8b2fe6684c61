/** The span of a submission, and the trace context that the prediction keeps in Redis and in the ledger. */

import { publicId } from '@millrace/shared/predictions/public-ids';
import { endSpan, errorOf, inSpan, textOfSpan } from '@millrace/shared/tracing/tracing';
import type { PendingPrediction } from './prediction-request.ts';

/** Before the prediction is written. A trace that is not recorded is passed on as the client sent the context. */
export function beginSubmission(pending: PendingPrediction): void {
  const { trace, tenant } = pending.request;
  if (trace === undefined) return;
  const { model } = pending.served.registered;
  const { version, digest } = pending.served.version;
  const id = publicId('pred', pending.id);
  const span = trace.start(`create ${model}`, {
    kind: 'producer',
    attributes: {
      'messaging.system': 'millrace',
      'messaging.operation.type': 'create',
      'messaging.operation.name': 'create',
      'messaging.destination.name': model,
      'messaging.message.id': id,
      'millrace.prediction.id': id,
      'millrace.model': model,
      'millrace.version': version,
      'millrace.digest': digest,
      'millrace.tenant': tenant,
      'millrace.rows': pending.normalized.rows.length,
      'millrace.priority': pending.priority,
    },
  });
  pending.submission = span;
  pending.options.trace = span === undefined ? trace.text : textOfSpan(span);
}

export function endSubmission({ submission }: PendingPrediction, error?: unknown): void {
  if (submission !== undefined) endSpan(submission, error === undefined ? {} : { error: errorOf(error) });
}

/** Commits the promise of a prediction, as a span of the request's trace. */
export function inPromiseSpan(
  { request: { trace } }: Pick<PendingPrediction, 'request'>,
  commit: () => Promise<void>,
): Promise<void> {
  const span = trace?.start('promise');
  return span === undefined ? commit() : Promise.resolve(inSpan(span, commit));
}
