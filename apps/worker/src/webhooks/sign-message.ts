/** Signatures of Standard Webhooks 1.0, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`, in base64. */
import { createHmac } from 'node:crypto';
import { secretKey } from '@millrace/shared/webhooks/secret';

/** The headers that let a receiver check a message. The type lets them go where any headers go. */
export interface SignatureHeaders extends Record<string, string> {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

export interface SignedMessage {
  /** The same over all attempts; has no '.', since that parts the signed fields. */
  id: string;
  /** Of the attempt, Unix milliseconds; it travels in whole seconds. */
  atMs: number;
  body: string;
  /** At least one; each adds its signature. */
  secrets: readonly string[];
}

export function signatureHeaders({ id, atMs, body, secrets }: SignedMessage): SignatureHeaders {
  if (id.includes('.') || id === '') throw new Error('A webhook id is not empty and has no full stop.');
  if (secrets.length === 0) throw new Error('A webhook is signed with at least one secret.');
  const timestamp = String(Math.floor(atMs / 1000));
  const signatures = secrets.map((secret) => `v1,${signature(secret, `${id}.${timestamp}.${body}`)}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

function signature(secret: string, signed: string): string {
  return createHmac('sha256', secretKey(secret)).update(signed).digest('base64');
}
