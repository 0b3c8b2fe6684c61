/** Secrets that sign webhooks, in the format of Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 random bytes. */
import { randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
const BYTES = 32;
const MIN_BYTES = 24;
const MAX_BYTES = 64;
const MAX_SECRETS = 5;

/** How long the previous secret also signs after a rotation. */
export const OVERLAP_MS = 24 * 3_600_000;

/** Creates a secret. The API shows the text to the owner only once. */
export function newSecret(random: (size: number) => Buffer = randomBytes): string {
  return PREFIX + random(BYTES).toString('base64');
}

/** Returns the key inside a secret. Throws for an invalid secret. The error message never contains the secret. */
export function secretKey(secret: string): Buffer {
  const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const key = Buffer.from(encoded, 'base64');
  // Buffer.from skips invalid base64, so the key must encode to the same text again.
  if (key.length < MIN_BYTES || key.length > MAX_BYTES || key.toString('base64') !== encoded) {
    throw new Error(`Invalid webhook secret: expected ${PREFIX} and base64 of ${MIN_BYTES} to ${MAX_BYTES} bytes.`);
  }
  return key;
}

/** A secret as stored in Postgres. Lists have the newest secret first. */
export interface StoredSecret {
  secret: string;
  /** Unix ms until which the secret signs; null without an end. */
  until: number | null;
}

/** Returns the secrets that sign at `nowMs`, newest first. During the overlap of a rotation several secrets sign. */
export function signingSecrets(stored: readonly StoredSecret[], nowMs: number): string[] {
  return stored.filter(({ until }) => until === null || nowMs < until).map(({ secret }) => secret);
}

export interface Rotation {
  /** The new secret. */
  next: string;
  nowMs: number;
  /** How long the previous secrets also sign. */
  overlapMs: number;
}

/** Returns the secrets after a rotation: the new secret, and the previous secrets until the overlap ends. */
export function rotated(stored: readonly StoredSecret[], { next, nowMs, overlapMs }: Rotation): StoredSecret[] {
  const overlapEnd = nowMs + overlapMs;
  const old = stored
    .map(({ secret, until }) => ({ secret, until: Math.min(until ?? overlapEnd, overlapEnd) }))
    .filter(({ until }) => nowMs < until)
    // Each signature makes the header longer. Many rotations within a day drop the oldest secrets early.
    .slice(0, MAX_SECRETS - 1);
  return [{ secret: next, until: null }, ...old];
}
