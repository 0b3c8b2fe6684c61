/**
 * Idempotency keys (IETF draft): the first request with a key owns its prediction; the same one again gets the same. Redis
 * keeps them for a day. A key that it does not know may be one that it has lost, and is looked for in the ledger.
 */

import { createHash } from 'node:crypto';
import { Lane } from '@millrace/shared/batching/batcher';
import type { KeyedPrediction } from '@millrace/shared/ledger/ledger';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { withTimeout } from '@millrace/shared/process/timeout';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { isWrongType } from '@millrace/shared/redis/wrong-type';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import type { Logger } from 'pino';

const KEPT_MS = 24 * 3_600_000;
/** Keys of one look into the ledger. */
const ASKED_MAX = 256;
/** Beyond it a key is taken for new: it is nearly always, and without Postgres a caller who waits is still answered. */
const LEDGER_PATIENCE_MS = 300;

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
  return sha256(`${model}\n${version ?? ''}\n${canonicalJson(body)}`).slice(0, HASH_LENGTH);
}

const HASH_LENGTH = 32;

/** What the ledger keeps of a key, and of the request where that is given: both are needed to know the same one again. */
export const hashOfKey = (key: string, fingerprint = ''): string => sha256(key).slice(0, HASH_LENGTH) + fingerprint;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What Redis keeps of a key: the prediction's id, the fingerprint of its request, and when it was claimed (Unix ms). */
const CLAIM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([0-9a-f]{32}) (\d{13})$/;

/** KEYS: a key. Deletes what is no claim, and nothing else. */
const DISCARD = `
local held = redis.pcall('GET', KEYS[1])
if held and (type(held) == 'table' or #held ~= 83 or not string.match(held, '^[%x-]+ %x+ %d+$')) then redis.call('DEL', KEYS[1]) end`;

interface Asked {
  tenant: string;
  hash: string;
}

/** `findInLedger` gives what each key stood for since a time; see `findKeyed`. */
export function createIdempotency(
  redis: Connection,
  keys: Keys,
  findInLedger: (asked: readonly Asked[], sinceMs: number) => Promise<(KeyedPrediction | undefined)[]>,
  log: Pick<Logger, 'warn'>,
): Idempotency {
  // Who asks while another look is under way shares the next: a look for each would cost more than the prediction.
  const looks = new Lane<Asked, KeyedPrediction | undefined>(async (asked) => {
    try {
      return await withTimeout(LEDGER_PATIENCE_MS, findInLedger(asked, sharedNow() - KEPT_MS), 'The look for a key');
    } catch (error) {
      log.warn({ err: error }, 'keys that Redis does not know are taken for new: the ledger does not answer');
      return asked.map(() => undefined);
    }
  }, ASKED_MAX);

  /** The claim that stands under a name. What is damaged is deleted, and the key is looked for in the ledger. */
  async function heldUnder(name: string): Promise<string | null> {
    const held = await redis.get(name).catch((error: Error) => {
      if (!isWrongType(error)) throw error;
      return '';
    });
    if (held === null || CLAIM.test(held)) return held;
    log.warn({ key: name }, 'an Idempotency-Key in Redis is damaged: it is looked for in the ledger');
    await redis.eval(DISCARD, 1, name);
    return null;
  }

  return {
    async claim(tenant, key, fingerprint, id, nowMs) {
      const hash = hashOfKey(key);
      const name = keys.idempotency(tenant, hash);
      let held = await heldUnder(name);
      if (held === null) {
        const found = await looks.add({ tenant, hash });
        const ageMs = found ? Math.max(0, nowMs - found.createdAt) : 0;
        // Without the fingerprint of its request it is taken at its word.
        const known = found && (found.idempotencyHash.slice(HASH_LENGTH) || fingerprint);
        const value = found ? `${found.id} ${known} ${found.createdAt}` : `${id} ${fingerprint} ${nowMs}`;
        held = (await redis.set(name, value, 'PX', Math.max(1, KEPT_MS - ageMs), 'NX', 'GET')) ?? value;
      }
      const [heldId = '', heldFingerprint, at] = held.split(' ');
      if (heldId === id) return { kind: 'mine' };
      return { kind: 'theirs', id: heldId, same: heldFingerprint === fingerprint, ageMs: nowMs - Number(at) };
    },
    async release(tenant, key, id) {
      const name = keys.idempotency(tenant, hashOfKey(key));
      const held = await redis.get(name);
      if (held?.startsWith(`${id} `)) await redis.del(name);
    },
  };
}
