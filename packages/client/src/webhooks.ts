/** Verifies webhook requests (Standard Webhooks 1.0). */
import { WebhookError } from './errors.ts';
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
  const secrets = typeof secret === 'string' ? [secret] : secret;
  if (secrets.length === 0)
    throw new TypeError('There is no webhook secret. Pass the secret of the endpoint, whsec_....');
  const keys = await Promise.all(secrets.map(keyOf));
  const sentAt = /^\d{1,15}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  if (!(Math.abs(Date.now() / 1_000 - sentAt) <= toleranceS))
    throw new WebhookError(
      'The message is too old or too new. Compare the clock of this machine.',
      'invalid_timestamp',
    );
  const body = await bytesOf(request);
  const signed = concat(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  for (const key of keys)
    for (const signature of signatures)
      if (await crypto.subtle.verify('HMAC', key, signature, signed)) return eventIn(body);
  throw new WebhookError('No signature of the message matches the secret.', 'invalid_signature');
}

/** Nobody sends more signatures: two secrets overlap during a rotation. */
const MOST_SIGNATURES = 16;

function headersOf({ headers }: WebhookRequest) {
  const read = (name: string): string => {
    if (headers instanceof Headers) return headers.get(name) ?? '';
    const value = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
    return typeof value === 'string' ? value : '';
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
  if (!bytes || bytes.length === 0)
    throw new TypeError('The webhook secret is empty or has another form. Pass the secret of the endpoint, whsec_....');
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
}

async function bytesOf(request: WebhookRequest): Promise<Uint8Array<ArrayBuffer>> {
  if (request instanceof Request) return new Uint8Array(await request.arrayBuffer());
  const { body } = request;
  if (typeof body === 'string') return new TextEncoder().encode(body);
  if (body instanceof Uint8Array) return new Uint8Array(body);
  throw new TypeError('The body of the webhook request is parsed already. Pass the received bytes.');
}

function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function eventIn(body: Uint8Array): WebhookEvent {
  try {
    const event: unknown = JSON.parse(new TextDecoder().decode(body));
    if (isEvent(event)) return event;
  } catch {
    // The error below names the fault.
  }
  throw new WebhookError('The message is signed, but is no event of Millrace.', 'invalid_webhook');
}

const isEvent = (value: unknown): value is WebhookEvent =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'id' in value;
