/** Endpoint secrets in the form of Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 random bytes. */
import { randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
const BYTES = 32;
const MIN_BYTES = 24;
const MAX_BYTES = 64;
const MAX_SECRETS = 5;

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

/** One secret as Postgres has it; a list of them has the newest first. `until`: Unix ms at which it ends to sign. */
export interface StoredSecret {
  secret: string;
  until: number | null;
}

/** The secrets that sign at `nowMs`, newest first: more than one during the overlap of a rotation. */
export function signingSecrets(stored: readonly StoredSecret[], nowMs: number): string[] {
  return stored.filter(({ until }) => until === null || nowMs < until).map(({ secret }) => secret);
}

/** What a rotation at `nowMs` leaves: the new secret, and those before it until the overlap is over. */
export function rotated(
  stored: readonly StoredSecret[],
  next: string,
  nowMs: number,
  overlapMs: number,
): StoredSecret[] {
  const overlapEnd = nowMs + overlapMs;
  const old = stored
    .map(({ secret, until }) => ({ secret, until: Math.min(until ?? overlapEnd, overlapEnd) }))
    .filter(({ until }) => nowMs < until)
    // Every signature makes the header longer; who rotates time and again within a day knows what for.
    .slice(0, MAX_SECRETS - 1);
  return [{ secret: next, until: null }, ...old];
}
