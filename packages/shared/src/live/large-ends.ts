/**
 * Writes successes whose results are long. Each state is written in pieces under a separate key. A script of constant time
 * (place.lua) then renames the key. No script and no command of Redis takes time that grows with the result.
 */
import { randomUUID } from 'node:crypto';
import type { LongText, Text } from '../predictions/long-text.ts';
import type { Status } from '../predictions/prediction.ts';
import type { LedgerOutput } from '../predictions/prediction-state.ts';
import type { Keys } from '../redis/keys.ts';
import { type PieceReader, type PieceWriter, readPieces, writePieces } from '../redis/long-values.ts';
import { untilWritable } from '../redis/until-writable.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import {
  batchedMs,
  type Ending,
  type Finished,
  knownEnd,
  ledgerEnd,
  type PlacedEnd,
  plainEnd,
  type SuccessfulRun,
  successOf,
} from './ended-state.ts';
import { beginningBytes, beginningOf, placeOf, type StateBeginning } from './state.ts';

/** Bytes of a state that hold its first ten fields in nearly every case. */
const PEEK_BYTES = 8_192;
/** Followers of one look-up. */
const FOLLOWERS_AT_ONCE = 16;

export interface LargeRedis extends PieceReader, PieceWriter {
  strlen(key: string): Promise<number>;
  srandmember(key: string, count: number): Promise<string[]>;
  srem(key: string, member: string): Promise<unknown>;
  mrPlace(numberOfKeys: number, ...args: (string | number)[]): Promise<unknown>;
  mrPassed(numberOfKeys: number, ...args: (string | number)[]): Promise<unknown>;
}

export interface LargeEndsDeps {
  redis: LargeRedis;
  keys: Keys;
  unrecordedTtlMs: number;
  flightLingersMs: number;
  /** Ends a prediction whose deadline has passed. */
  expire(id: string, tenant: string, nowMs: number): Promise<unknown>;
  /** Discards an unreadable state. */
  discard(id: string): Promise<void>;
  /** See LiveStoreOptions. */
  toLedger?: ToLedger | undefined;
}

/**
 * Writes the output of a success into the ledger. Resolves to undefined where the output must be in the live state. Must not reject, and must
 * end in bounded time.
 */
export type ToLedger = (item: Finished) => Promise<LedgerOutput | undefined>;

export type Verdict = 'written' | 'cancelled' | 'fenced';

/** The result of a computation, for the leader and its followers. */
export type Made = SuccessfulRun & { result: Text };

interface EndFollowersParams {
  tag: string;
  leader: string;
  made: Made;
  nowMs: number;
}

interface PlaceParams {
  id: string;
  end: PlacedEnd;
  /** The leader that the prediction follows; '' for none. */
  leader: string;
}

export class LargeEnds {
  readonly #deps: LargeEndsDeps;

  constructor(deps: LargeEndsDeps) {
    this.#deps = deps;
  }

  /** As LiveStore's `finish`, for one success. The followers of the prediction end with the same result. */
  async finish(tag: string, item: Finished, ending: Ending): Promise<Verdict> {
    if (await this.#finishInLedger(tag, item, ending)) return 'written';
    const plain = plainEnd(item, ending);
    if (plain !== undefined && (await this.#place(tag, { id: item.id, end: plain, leader: '' }))) return 'written';
    const made: Made = { ...item, batchedMs: batchedMs(item), worker: ending.worker };
    let hasExpired = false;
    for (;;) {
      const beginning = await this.#beginning(item.id);
      const there = beginning && placeOf(beginning);
      if (!there || there.attempt !== item.attempt || there.status === 'queued') return 'fenced';
      if (there.status !== 'running') {
        if (there.runsForFollowers) await this.#endForFollowers(tag, { item, made, nowMs: ending.nowMs });
        // An earlier call of place.lua by this attempt succeeded, but its reply was lost. The followers still wait.
        else if (there.status === 'succeeded' && there.hadFollowers)
          await this.endFollowers({ tag, leader: item.id, made, nowMs: ending.nowMs });
        else if (!hasExpired) return 'cancelled';
        return 'written';
      }
      if (isPast(there.expiresAt, ending.nowMs)) {
        await this.#expire(item.id, there.tenant, ending.nowMs);
        hasExpired = true;
        continue;
      }
      const end = successOf(
        beginning,
        { ...made, attempts: item.attempt },
        { result: made.result, nowMs: ending.nowMs },
      );
      if (!(await this.#place(tag, { id: item.id, end, leader: '' }))) continue;
      if (there.hadFollowers) await this.endFollowers({ tag, leader: item.id, made, nowMs: ending.nowMs });
      return 'written';
    }
  }

  /**
   * Ends a prediction whose output is in the ledger. Returns false if the output must be in the live state. Only for a prediction without
   * followers, which would need the output. If this process dies after the write of the ledger, the job runs again.
   */
  async #finishInLedger(tag: string, item: Finished, ending: Ending): Promise<boolean> {
    const { toLedger } = this.#deps;
    if (toLedger === undefined || plainEnd(item, ending) === undefined) return false;
    const output = await toLedger(item);
    const end = output && ledgerEnd(item, ending, output);
    return end !== undefined && (await this.#place(tag, { id: item.id, end, leader: '' }));
  }

  #expire(id: string, tenant: string, nowMs: number): Promise<unknown> {
    return untilWritable(() => this.#deps.expire(id, tenant, nowMs));
  }

  /** Ends the followers of a leader that was canceled or has expired itself. */
  async #endForFollowers(
    tag: string,
    { item, made, nowMs }: { item: Finished; made: Made; nowMs: number },
  ): Promise<void> {
    const { redis, keys, unrecordedTtlMs } = this.#deps;
    const passed = () =>
      untilWritable(() => redis.mrPassed(1, keys.live(item.id), tag, item.id, item.attempt, unrecordedTtlMs));
    while ((await passed()) === 1) await this.endFollowers({ tag, leader: item.id, made, nowMs });
  }

  /**
   * Ends the followers of a leader with the leader's result. A follower whose own deadline has passed expires. If this process
   * dies before the last follower has ended, another worker takes the job of the leader and ends the other followers.
   */
  async endFollowers(params: EndFollowersParams): Promise<void> {
    const { redis, keys } = this.#deps;
    const { leader } = params;
    for (;;) {
      const ids = await redis.srandmember(keys.followers(leader), FOLLOWERS_AT_ONCE);
      if (ids.length === 0) return;
      for (const id of ids) await this.#endFollower(id, params);
    }
  }

  async #endFollower(id: string, { tag, leader, made, nowMs }: EndFollowersParams): Promise<void> {
    const { redis, keys } = this.#deps;
    const beginning = await this.#beginning(id);
    const there = beginning && placeOf(beginning);
    const waits = there && (there.status === 'queued' || there.status === 'running') && there.follows === leader;
    if (!waits) await untilWritable(() => redis.srem(keys.followers(leader), id));
    else if (isPast(there.expiresAt, nowMs)) await this.#expire(id, there.tenant, nowMs);
    else {
      const end = successOf(beginning, { ...made, attempts: there.attempt + 1 }, { result: made.result, nowMs });
      // If the state has changed since the read, the next round reads the state again.
      await this.#place(tag, { id, end, leader });
    }
  }

  /**
   * Writes the state of a new prediction whose long output is known. Returns the status of the state that is there if the
   * prediction exists already. Rejects when Redis refuses the write.
   */
  async writeKnown(
    tag: string,
    id: string,
    known: { state: string; result: Text; nowMs: number },
  ): Promise<'written' | Status> {
    const end = knownEnd(known.state, known.result, known.nowMs);
    for (;;) {
      const code = await this.#placeOnce(tag, { id, end, leader: '' });
      if (code === PLACED) return 'written';
      const there = await this.#beginning(id);
      if (there) return placeOf(there).status;
    }
  }

  /** Writes an end. Returns false if the head of the state is not the head that `end` expects. Waits while Redis refuses the write. */
  async #place(tag: string, params: PlaceParams): Promise<boolean> {
    for (;;) {
      const code = await untilWritable(() => this.#placeOnce(tag, params));
      if (code !== REWRITE) return code === PLACED;
    }
  }

  /** Returns the code of place.lua. */
  async #placeOnce(tag: string, { id, end, leader }: PlaceParams): Promise<unknown> {
    const { redis, keys, unrecordedTtlMs, flightLingersMs } = this.#deps;
    // A key of this call alone: another worker can write the end of the same prediction at the same time.
    const written = keys.written(id, randomUUID());
    const { text, head, from, short, flight } = end;
    if (!(await writePieces(redis, { key: written, value: text }))) return REWRITE;
    const args = [tag, id, text.length, head, from, short, unrecordedTtlMs, flight, flightLingersMs, leader];
    return redis.mrPlace(2, keys.live(id), written, ...args);
  }

  /** Null if there is no state, or if the state is unreadable. An unreadable state is discarded. */
  async #beginning(id: string): Promise<StateBeginning | null> {
    const { redis, keys, discard } = this.#deps;
    const key = keys.live(id);
    let bytes = await redis.getrangeBuffer(key, 0, PEEK_BYTES - 1).catch(noneIfWrongType);
    if (bytes.length === 0) return null;
    let beginning = beginningOf(bytes);
    if (beginning === undefined) {
      bytes = await redis.getrangeBuffer(key, 0, beginningBytes(bytes.toString('latin1')) - 1).catch(noneIfWrongType);
      beginning = beginningOf(bytes);
    }
    if (beginning) return beginning;
    await discard(id);
    return null;
  }

  /** All bytes of a state as of one moment; null if there is no state. */
  async read(id: string): Promise<LongText | null> {
    const { redis, keys } = this.#deps;
    const key = keys.live(id);
    const getrangeBuffer = (name: string, from: number, to: number) =>
      redis.getrangeBuffer(name, from, to).catch(noneIfWrongType);
    const reader = { getrangeBuffer };
    for (;;) {
      const text = await readPieces(reader, { key });
      const [first] = text.pieces;
      if (first === undefined) return null;
      // One command reads a state as of one moment.
      if (text.pieces.length === 1) return text;
      const [head, length] = await Promise.all([redis.getrangeBuffer(key, 0, HEAD_BYTES - 1), redis.strlen(key)]);
      if (length === text.length && head.equals(first.subarray(0, HEAD_BYTES))) return text;
    }
  }
}

/** Codes of place.lua. */
const [PLACED, REWRITE] = [1, 2];

/** Every change of a status, an attempt or a length changes these bytes. */
const HEAD_BYTES = 87;

const isPast = (at: number | null, nowMs: number): boolean => at !== null && at <= nowMs;

/** Stands for the text of a key that holds another type. No state begins with this text. */
const NO_STATE = Buffer.from('?');

function noneIfWrongType(error: Error): Buffer {
  if (isWrongType(error)) return NO_STATE;
  throw error;
}
