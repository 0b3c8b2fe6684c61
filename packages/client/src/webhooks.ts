/** Verifies webhook requests (Standard Webhooks 1.0). */
import { hasTexts, WebhookError } from './errors.ts';
import type { WebhookEvent } from './webhook-events.ts';

/** A request of the platform, or its headers and its body before any parser. */
export type WebhookRequest =
  | Request
  | {
      headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
      body: string | Uint8Array;
    };

export interface VerifyOptions {
  /** The greatest difference between the time of the message and the present time in seconds. 300 if absent. */
  toleranceS?: number;
}

/**
 * Resolves with the event of a webhook request. Rejects with a WebhookError if the request is not signed with one of the secrets, or
 * is too old. A later server sends types of events that this version of the client does not know.
 */
export async function verifyWebhook(
  request: WebhookRequest,
  secret: string | readonly string[],
  { toleranceS = 300 }: VerifyOptions = {},
): Promise<WebhookEvent> {
  const { id, timestamp, signatures } = headersOf(request);
  const secrets = [secret].flat();
  const keys = await Promise.all((secrets.length === 0 ? [''] : secrets).map(keyOf));
  const sentAt = /^\d{1,15}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  if (!(Math.abs(Date.now() / 1_000 - sentAt) <= toleranceS))
    throw new WebhookError(
      'The message is too old or too new. Compare the clock of this machine.',
      'invalid_timestamp',
    );
  const body = await bodyOf(request);
  const signed = await new Blob([`${id}.${timestamp}.`, body]).arrayBuffer();
  for (const key of keys)
    for (const signature of signatures)
      if (await crypto.subtle.verify('HMAC', key, signature, signed)) return eventIn(await body.text());
  throw new WebhookError('No signature of the message matches the secret.', 'invalid_signature');
}

/** Nobody sends more signatures: two secrets overlap during a rotation. */
const MOST_SIGNATURES = 16;

function headersOf({ headers }: WebhookRequest) {
  const read = (name: string): string => {
    const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
    return String(entries.find(([key]) => key.toLowerCase() === name)?.[1] ?? '');
  };
  const signatures: Uint8Array<ArrayBuffer>[] = [];
  for (const part of read('webhook-signature').split(' ').slice(0, MOST_SIGNATURES)) {
    const [version, text = ''] = part.split(',');
    const bytes = version === 'v1' ? bytesOfBase64(text) : undefined;
    if (bytes) signatures.push(bytes);
  }
  return { id: read('webhook-id'), timestamp: read('webhook-timestamp'), signatures };
}

function keyOf(secret: string): ReturnType<typeof crypto.subtle.importKey> {
  const bytes = bytesOfBase64(secret.trim().replace(/^whsec_/, ''));
  if (!bytes?.length) throw new TypeError('The webhook secret is empty or has another form than whsec_....');
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
}

async function bodyOf(request: WebhookRequest): Promise<Blob> {
  if (request instanceof Request) return request.blob();
  const { body } = request;
  // A Blob takes any value as a text.
  if (typeof body === 'string' || ArrayBuffer.isView(body)) return new Blob([body as string | Uint8Array<ArrayBuffer>]);
  throw new TypeError('The body of the webhook request is parsed already. Pass the received bytes.');
}

function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function eventIn(text: string): WebhookEvent {
  try {
    const event: unknown = JSON.parse(text);
    if (hasTexts<WebhookEvent>(event, 'id', 'type')) return event;
  } catch {
    // The error below names the fault.
  }
  throw new WebhookError('The message is signed, but is no event of Millrace.', 'invalid_webhook');
}
