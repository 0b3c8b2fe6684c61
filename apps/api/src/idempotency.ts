/** Idempotency keys (IETF draft): the first request with a key owns its prediction; the same one again gets the same. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '@millrace/shared/canonical-json';
import type { Keys } from '@millrace/shared/keys';
import type { Connection } from '@millrace/shared/redis';

const KEPT_MS = 24 * 3_600_000;

export type Claim =
  /** The key is the caller's; `id` is to be its prediction's. */
  | { kind: 'mine' }
  /** Somebody was first: with the same request or another, `ageMs` ago. */
  | { kind: 'theirs'; id: string; same: boolean; ageMs: number };

export interface Idempotency {
  claim(tenant: string, key: string, fingerprint: string, id: string, nowMs: number): Promise<Claim>;
  /** Gives the key back: nothing came of the request. */
  release(tenant: string, key: string, id: string): Promise<void>;
}

/** What makes two requests the same: model, version and body, however spelt. */
export function fingerprintOf(model: string, version: string | undefined, body: unknown): string {
  return sha256(`${model}\n${version ?? ''}\n${canonicalJson(body)}`).slice(0, 32);
}

export const hashOfKey = (key: string): string => sha256(key).slice(0, 32);

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export function createIdempotency(redis: Connection, keys: Keys): Idempotency {
  const name = (tenant: string, key: string) => keys.idempotency(tenant, hashOfKey(key));
  return {
    async claim(tenant, key, fingerprint, id, nowMs) {
      const value = `${id} ${fingerprint} ${nowMs}`;
      const held = await redis.set(name(tenant, key), value, 'PX', KEPT_MS, 'NX', 'GET');
      if (held === null || held === value) return { kind: 'mine' };
      const [heldId = '', heldFingerprint, at] = held.split(' ');
      return { kind: 'theirs', id: heldId, same: heldFingerprint === fingerprint, ageMs: nowMs - Number(at) };
    },
    async release(tenant, key, id) {
      const held = await redis.get(name(tenant, key));
      if (held?.startsWith(`${id} `)) await redis.del(name(tenant, key));
    },
  };
}
