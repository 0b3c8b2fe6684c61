/**
 * Idempotency keys (IETF draft): the first request with a key creates a prediction, and a repeated request returns the same
 * prediction. Redis keeps a key for a day. A key that Redis does not have may be lost, and is read from the ledger.
 */

import { createHash } from 'node:crypto';
import { Batcher } from '@millrace/shared/batching/batcher';
import type { KeyedPrediction } from '@millrace/shared/ledger/ledger';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { withTimeout } from '@millrace/shared/process/timeout';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { isWrongType } from '@millrace/shared/redis/wrong-type';
import type { Logger } from 'pino';

const KEPT_MS = 24 * 3_600_000;
/** The most keys in one query of the ledger. */
const KEYS_MAX = 256;
/** Queries of full batches in progress at once. */
const FULL_QUERIES_MAX = 4;
/**
 * How long a claim waits for the ledger. After this time the key counts as new: nearly every key is new, and a caller that
 * waits gets a result without Postgres.
 */
const LEDGER_TIMEOUT_MS = 300;

export type Claim =
  /** The key belongs to this request: the prediction must have the claimed id. */
  | { kind: 'mine' }
  /** An earlier request claimed the key `ageMs` ago, with the same or with another body. */
  | { kind: 'taken'; id: string; same: boolean; ageMs: number };

export interface ClaimParams {
  tenant: string;
  key: string;
  /** See request-fingerprint.ts. */
  fingerprint: string;
  /** The id of the prediction that this request would create. */
  id: string;
  nowMs: number;
}

export interface KeyHolder {
  /** The id of the prediction that the key names. The request may still write the prediction. */
  id: string;
  ageMs: number;
}

export interface Idempotency {
  /** Finds the claim of a key without a change. Undefined for an unused key. */
  find(tenant: string, key: string, nowMs: number): Promise<KeyHolder | undefined>;
  claim(params: ClaimParams): Promise<Claim>;
  /** Deletes the claim after a request that created no prediction. */
  release(tenant: string, key: string, id: string): Promise<void>;
}

const HASH_LENGTH = 32;

/**
 * The hash that the ledger stores: of the key, followed by the fingerprint of the request where given. A repeated request has
 * the same hash.
 */
export const hashOfKey = (key: string, fingerprint = ''): string => sha256(key).slice(0, HASH_LENGTH) + fingerprint;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A claim in Redis: the prediction's id, the fingerprint of the request, and the time of the claim (Unix ms). */
const CLAIM = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([0-9a-f]{32}) (\d{13})$/;

/** KEYS: a key. Deletes a value that is not a claim. Keeps a claim. */
const DISCARD = `
local held = redis.pcall('GET', KEYS[1])
if held and (type(held) == 'table' or #held ~= 83 or not string.match(held, '^[%x-]+ %x+ %d+$')) then redis.call('DEL', KEYS[1]) end`;

interface KeyOfTenant {
  tenant: string;
  hash: string;
}

export interface IdempotencyDeps {
  redis: Connection;
  keys: Keys;
  /** Returns the prediction of each key since a time; see `findKeyed`. */
  findInLedger(claimed: readonly KeyOfTenant[], sinceMs: number): Promise<(KeyedPrediction | undefined)[]>;
  log: Pick<Logger, 'warn'>;
}

export function createIdempotency({ redis, keys, findInLedger, log }: IdempotencyDeps): Idempotency {
  // Keys share a query: one query for each key would cost more than the prediction.
  const ledgerKeys = new Batcher<KeyOfTenant, KeyedPrediction | undefined>({
    async run(claimed) {
      try {
        const found = findInLedger(claimed, sharedNow() - KEPT_MS);
        return await withTimeout(LEDGER_TIMEOUT_MS, found, 'The query for idempotency keys');
      } catch (error) {
        log.warn({ err: error }, 'idempotency keys that Redis does not have count as new: the ledger does not respond');
        return claimed.map(() => undefined);
      }
    },
    maxItems: KEYS_MAX,
    fullConcurrency: FULL_QUERIES_MAX,
  });

  /** Returns the claim in Redis. Deletes a damaged value, so that the key is read from the ledger. */
  async function readClaim(name: string): Promise<string | null> {
    const held = await redis.get(name).catch((error: Error) => {
      if (!isWrongType(error)) throw error;
      return '';
    });
    if (held === null || CLAIM.test(held)) return held;
    log.warn({ key: name }, 'an Idempotency-Key in Redis is damaged: the key is read from the ledger');
    await redis.eval(DISCARD, 1, name);
    return null;
  }

  return {
    async find(tenant, key, nowMs) {
      const hash = hashOfKey(key);
      const held = await readClaim(keys.idempotency(tenant, hash));
      if (held !== null) {
        const [id = '', , at] = held.split(' ');
        return { id, ageMs: nowMs - Number(at) };
      }
      const found = await ledgerKeys.add({ tenant, hash });
      return found && { id: found.id, ageMs: nowMs - found.createdAt };
    },
    async claim({ tenant, key, fingerprint, id, nowMs }) {
      const hash = hashOfKey(key);
      const name = keys.idempotency(tenant, hash);
      let held = await readClaim(name);
      if (held === null) {
        const found = await ledgerKeys.add({ tenant, hash });
        const ageMs = found ? Math.max(0, nowMs - found.createdAt) : 0;
        // A row without a fingerprint counts as the same request.
        const known = found && (found.idempotencyHash.slice(HASH_LENGTH) || fingerprint);
        const value = found ? `${found.id} ${known} ${found.createdAt}` : `${id} ${fingerprint} ${nowMs}`;
        held = (await redis.set(name, value, 'PX', Math.max(1, KEPT_MS - ageMs), 'NX', 'GET')) ?? value;
      }
      const [heldId = '', heldFingerprint, at] = held.split(' ');
      if (heldId === id) return { kind: 'mine' };
      return { kind: 'taken', id: heldId, same: heldFingerprint === fingerprint, ageMs: nowMs - Number(at) };
    },
    async release(tenant, key, id) {
      const name = keys.idempotency(tenant, hashOfKey(key));
      const held = await redis.get(name);
      if (held?.startsWith(`${id} `)) await redis.del(name);
    },
  };
}
