/**
 * The table `idempotent_requests`: the claims and responses of requests with an Idempotency-Key that create no prediction. All times come
 * from the clock of Postgres.
 */
import { createHash } from 'node:crypto';
import type { Db } from '../postgres/db.ts';

export interface Claimed {
  claim: string;
  /** The UUID of the resource that the request creates: the same in each execution of the request. */
  resource: string;
  /** An earlier execution ended without a known response: with its process, or with a failure of a store. */
  again: boolean;
}

export interface KeyedRequest {
  tenant: string;
  key: string;
  /** Equal for the same route, parameters and body. */
  fingerprint: string;
}

export interface StoredResponse {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface IdempotentRequests {
  /** Claims the key, or returns what is known of an earlier request. */
  claim(
    request: KeyedRequest,
  ): Promise<
    | ({ kind: 'mine' } & Claimed)
    | { kind: 'done'; response: StoredResponse }
    | { kind: 'busy'; retryAfterS: number }
    | { kind: 'mismatch' }
  >;
  /** Stores the response. Has no effect if another request has taken the claim. */
  finish(request: KeyedRequest, claim: string, response: StoredResponse): Promise<void>;
  /** Forgets the key of a refused request. */
  discard(request: KeyedRequest, claim: string): Promise<void>;
  /** Lets the next request with the key execute the request again, with the same resource. */
  release(request: KeyedRequest, claim: string): Promise<void>;
}

const KEPT = "interval '24 hours'";
/** How long a claim keeps repeated requests away. A process that has died cannot release its claim. */
const CLAIM = "interval '30 seconds'";
/** Expired rows that each stored response deletes, so that the table needs no other clean-up. */
const DELETED = 10;

// One statement has one now(). Takes a new key, a key that has expired, and the claim of a request that died. `resource` survives a death, so that the repetition
// creates the same resource.
const TAKE = `
  INSERT INTO idempotent_requests AS r (tenant, key_hash, fingerprint, claim, resource, created_at, claimed_until)
  VALUES ($1, $2, $3, gen_random_uuid(), gen_random_uuid(), now(), now() + ${CLAIM})
  ON CONFLICT (tenant, key_hash) DO UPDATE SET
    claim = excluded.claim, claimed_until = excluded.claimed_until, fingerprint = excluded.fingerprint,
    status = NULL, headers = NULL, body = NULL,
    resource = CASE WHEN r.created_at < now() - ${KEPT} THEN excluded.resource ELSE r.resource END,
    created_at = CASE WHEN r.created_at < now() - ${KEPT} THEN excluded.created_at ELSE r.created_at END
  WHERE r.created_at < now() - ${KEPT}
     OR (r.status IS NULL AND r.claimed_until <= now() AND r.fingerprint = excluded.fingerprint)
  RETURNING claim, resource, created_at + ${CLAIM} < claimed_until AS again`;

const READ = `
  SELECT fingerprint, status, headers, body,
         greatest(1, ceil(extract(epoch FROM claimed_until - clock_timestamp())))::int AS "retryAfterS"
    FROM idempotent_requests WHERE tenant = $1 AND key_hash = $2`;

const FINISH = `
  WITH old AS (
    DELETE FROM idempotent_requests WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM idempotent_requests WHERE created_at < clock_timestamp() - ${KEPT}
       ORDER BY created_at LIMIT ${DELETED} FOR UPDATE SKIP LOCKED))
  )
  UPDATE idempotent_requests SET status = $4, headers = $5, body = $6 WHERE tenant = $1 AND key_hash = $2 AND claim = $3`;

interface ReadRow {
  fingerprint: string;
  status: number | null;
  headers: string;
  body: string;
  retryAfterS: number;
}

export function createIdempotentRequests(db: Db): IdempotentRequests {
  const nameOf = ({ tenant, key }: KeyedRequest) => [tenant, createHash('sha256').update(key).digest('hex')];
  return {
    async claim(request) {
      const name = nameOf(request);
      const values = [...name, request.fingerprint];
      const taken = await db.query<{ claim: string; resource: string; again: boolean }>(TAKE, values);
      const [mine] = taken.rows;
      if (mine) return { kind: 'mine', ...mine };
      const { rows } = await db.query<ReadRow>(READ, name);
      const [held] = rows;
      if (held === undefined) return { kind: 'busy', retryAfterS: 1 };
      if (held.fingerprint !== request.fingerprint) return { kind: 'mismatch' };
      if (held.status === null) return { kind: 'busy', retryAfterS: held.retryAfterS };
      const headers: StoredResponse['headers'] = JSON.parse(held.headers);
      return { kind: 'done', response: { status: held.status, headers, body: held.body } };
    },
    async finish(request, claim, { status, headers, body }) {
      await db.query(FINISH, [...nameOf(request), claim, status, JSON.stringify(headers), body]);
    },
    async discard(request, claim) {
      await db.query('DELETE FROM idempotent_requests WHERE tenant = $1 AND key_hash = $2 AND claim = $3', [
        ...nameOf(request),
        claim,
      ]);
    },
    async release(request, claim) {
      await db.query(
        'UPDATE idempotent_requests SET claimed_until = clock_timestamp() WHERE tenant = $1 AND key_hash = $2 AND claim = $3',
        [...nameOf(request), claim],
      );
    },
  };
}
