/** One attempt of a claimed delivery: sign, send, judge the response, record the result, set the timer of the next attempt. */

import type { Tracing } from '@millrace/shared/tracing/tracing';
import { eventBody } from '@millrace/shared/webhooks/event';
import { signingSecrets } from '@millrace/shared/webhooks/secret';
import type { DeliveryClaims } from './delivery-claims.ts';
import { endDelivery, startDelivery, traceHeaders } from './delivery-span.ts';
import type { ClaimedDelivery } from './due-deliveries.ts';
import type { AttemptRecord } from './record-outcome.ts';
import { judge, succeeded } from './retry-policy.ts';
import type { Sender } from './send.ts';
import { signatureHeaders } from './sign-message.ts';

export interface AttemptDeps {
  sender: Sender;
  claims: DeliveryClaims;
  publicUrl: string | undefined;
  /** Undefined where traces are switched off. */
  tracing: Tracing | undefined;
  /** Aborts when the process closes and does not wait longer for attempts. */
  signal: AbortSignal;
  now: () => number;
  random: () => number;
  /** Removes and returns the claimed deliveries of a lane whose attempts have not started. */
  discard(lane: string): ClaimedDelivery[];
  scheduleRetry(lane: string, atMs: number): void;
  /** Receives an attempt that `signal` aborted. The attempt does not count. */
  onAborted(delivery: ClaimedDelivery): void;
  /** Receives each attempt after its commit. */
  onAttempt(record: AttemptRecord): void;
  /** Receives an error of this delivery alone, such as an invalid secret. A new attempt follows when the claim has ended. */
  onError(delivery: ClaimedDelivery, error: unknown): void;
}

/** Makes the attempt and records the result. Resolves to false when the attempt failed. Never rejects. */
export async function attemptDelivery(deps: AttemptDeps, delivery: ClaimedDelivery): Promise<boolean> {
  try {
    const record = await send(deps, delivery);
    if (!record) {
      deps.onAborted(delivery);
      return true;
    }
    // The commit that disables an endpoint also cancels the other claimed deliveries of the endpoint.
    const canceled = record.disable === null ? [] : deps.discard(delivery.lane);
    await deps.claims.record(delivery, record, () => {
      void deps.claims.release(canceled);
      deps.onAttempt(record);
      if (record.nextAt !== null) deps.scheduleRetry(delivery.lane, record.nextAt);
    });
    return record.status === 'delivered';
  } catch (error) {
    deps.onError(delivery, error);
    return false;
  }
}

/** Sends the message and judges the response. Returns undefined when `signal` aborted the attempt. */
async function send(deps: AttemptDeps, delivery: ClaimedDelivery): Promise<AttemptRecord | undefined> {
  const span = startDelivery(deps.tracing, delivery);
  let record: AttemptRecord | undefined;
  try {
    record = await sendSigned(deps, delivery, traceHeaders(span, delivery.trace));
    return record;
  } finally {
    endDelivery(span, record);
  }
}

async function sendSigned(
  deps: AttemptDeps,
  delivery: ClaimedDelivery,
  trace: Readonly<Record<string, string>>,
): Promise<AttemptRecord | undefined> {
  const { sender, publicUrl, now, random, signal } = deps;
  const { event, endpoint, tenant } = delivery;
  const at = now();
  const body = eventBody(event, publicUrl);
  const secrets = signingSecrets(delivery.secrets, at);
  const headers = { ...signatureHeaders({ id: event.id, atMs: at, body, secrets }), ...trace };
  const { outcome, latencyMs, replyHead } = await sender.send({ url: delivery.url, body, headers }, signal);
  // An abort appears as a timeout. A status that arrived before the abort still counts.
  if (signal.aborted && 'error' in outcome) return undefined;
  const verdict = judge(outcome, {
    attempt: delivery.attempts - delivery.attemptsBefore + 1,
    nowMs: now(),
    failingSinceMs: delivery.failingSince,
    random: random(),
  });
  return {
    delivery: delivery.id,
    tenant,
    endpoint,
    number: delivery.attempts + 1,
    round: delivery.round,
    at,
    latencyMs,
    replyStatus: 'status' in outcome ? outcome.status : null,
    error: 'error' in outcome ? outcome.error : null,
    reply: replyHead,
    status: verdict.status,
    nextAt: verdict.nextAttemptAtMs,
    disable: succeeded(outcome) ? null : verdict.endpoint.disable,
  };
}
