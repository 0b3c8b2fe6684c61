/** One claimed delivery: sign it, send it, judge what came, and have that written. */
import { eventBody } from '@millrace/shared/webhooks/event';
import { signingSecrets } from '@millrace/shared/webhooks/secret';
import type { ClaimedDelivery } from './due-deliveries.ts';
import type { Settled } from './record-outcome.ts';
import { judge, succeeded } from './retry-policy.ts';
import type { Sender } from './send.ts';
import { signatureHeaders } from './sign-message.ts';

export interface DeliverDeps {
  sender: Sender;
  publicUrl: string | undefined;
  now: () => number;
  random: () => number;
}

/** Makes the attempt. Undefined when `signal` cut it short: it then counts for nothing. */
export async function attempt(
  { sender, publicUrl, now, random }: DeliverDeps,
  delivery: ClaimedDelivery,
  signal: AbortSignal,
): Promise<Settled | undefined> {
  const { event, endpoint, tenant } = delivery;
  const at = now();
  const body = eventBody(event, publicUrl);
  const headers = signatureHeaders({ id: event.id, atMs: at, body, secrets: signingSecrets(delivery.secrets, at) });
  const { outcome, latencyMs, replyHead } = await sender.send({ url: delivery.url, body, headers }, signal);
  // An abort shows as a timeout; a status that was there already stands.
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
