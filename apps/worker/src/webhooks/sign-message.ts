/** Signatures of Standard Webhooks 1.0, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`, in base64. */
import { createHmac } from 'node:crypto';
import { secretKey } from '@millrace/shared/webhooks/secret';

/** The headers with which a receiver verifies a message. The type is assignable to any record of headers. */
export interface SignatureHeaders extends Record<string, string> {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

export interface SignedMessage {
  /** The same in all attempts. Contains no '.', which separates the signed fields. */
  id: string;
  /** Time of the attempt, Unix milliseconds. The header has whole seconds. */
  atMs: number;
  body: string;
  /** At least one secret. Each secret adds a signature. */
  secrets: readonly string[];
}

export function signatureHeaders({ id, atMs, body, secrets }: SignedMessage): SignatureHeaders {
  if (id.includes('.') || id === '')
    throw new Error('Invalid webhook id: expected a non-empty text without a full stop.');
  if (secrets.length === 0) throw new Error('No webhook secret: expected at least one secret to sign with.');
  const timestamp = String(Math.floor(atMs / 1000));
  const signatures = secrets.map((secret) => `v1,${signature(secret, `${id}.${timestamp}.${body}`)}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

function signature(secret: string, signed: string): string {
  return createHmac('sha256', secretKey(secret)).update(signed).digest('base64');
}
