/** Endpoint secrets in the form of Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 random bytes. */
import { randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
const BYTES = 32;
const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** How long the secret before a rotation goes on signing beside the new one. */
export const OVERLAP_MS = 24 * 3_600_000;

/** A new secret; the only text of it that its owner is ever shown. */
export function newSecret(random: (size: number) => Buffer = randomBytes): string {
  return PREFIX + random(BYTES).toString('base64');
}

/** The key inside a secret. Throws on text that is not one, and never repeats it. */
export function secretKey(secret: string): Buffer {
  const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const key = Buffer.from(encoded, 'base64');
  // Buffer.from skips what is not base64: only a secret that comes back the same was one.
  if (key.length < MIN_BYTES || key.length > MAX_BYTES || key.toString('base64') !== encoded) {
    throw new Error(`A webhook secret is ${PREFIX} and base64 of ${MIN_BYTES} to ${MAX_BYTES} bytes.`);
  }
  return key;
}

/** The secrets of an endpoint as Postgres has them. Times are Unix milliseconds. */
export interface EndpointSecrets {
  secret: string;
  previousSecret: string | null;
  previousSecretExpiresAt: number | null;
}

/** The secrets that sign at `nowMs`, newest first: both during the overlap of a rotation. */
export function signingSecrets(endpoint: EndpointSecrets, nowMs: number): string[] {
  const { secret, previousSecret, previousSecretExpiresAt } = endpoint;
  const overlaps = previousSecret !== null && previousSecretExpiresAt !== null && nowMs < previousSecretExpiresAt;
  return overlaps ? [secret, previousSecret] : [secret];
}

/** What a rotation at `nowMs` leaves. A second one inside the overlap ends the oldest secret at once. */
export function rotated(current: { secret: string }, next: string, nowMs: number, overlapMs: number): EndpointSecrets {
  return { secret: next, previousSecret: current.secret, previousSecretExpiresAt: nowMs + overlapMs };
}
