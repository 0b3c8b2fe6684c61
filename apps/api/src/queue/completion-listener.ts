/**
 * Wakes whoever waits for a prediction. One listener per shard reads completion events from an explicit position in the
 * stream, and every second the waiters' states are read as well, so that an event lost is a second lost, no more. A state
 * that is lost is submitted again, where only the caller who waits knows the prediction.
 */

import { type Completion, parseCompletion } from '@millrace/shared/live/completion';
import { openingOf } from '@millrace/shared/live/state';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOfId } from '@millrace/shared/predictions/ids';
import type { Text } from '@millrace/shared/predictions/long-text';
import { isTerminal, type PredictionRecord, type Status } from '@millrace/shared/predictions/prediction';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import type { DisconnectSignal } from '../http/client-disconnect.ts';

const REREAD_MS = 1_000;
/** Ticks, not time: while a crowd holds this process up they do not pass, and the answer lies in the socket, unread. */
const POSITION_TICKS = 16;
const POSITION_TICK_MS = 50;
const BLOCK_MS = 5_000;
/** States read in one go by the safety net: bounded, so that 10,000 waiters do not stop the event loop. */
const REREAD_AT_ONCE = 500;

/** What a waiter is told: the completion, with its result; null when the wait ended first. */
export type Answer = Omit<Completion, 'result'> & { result: Text };

/** One who waits for a prediction; `next` is another who waits for the same one, which is rare. */
export class Waiter {
  readonly id: string;
  /** When the first of those who wait for it came, on the monotonic clock. */
  readonly since: number;
  readonly signal: DisconnectSignal | undefined;
  /** Called once: with the answer, or with null when the wait ended first. May not throw. */
  readonly told: (answer: Answer | null) => void;
  readonly #completions: CompletionListener;
  /** The opening whose end is awaited: events of earlier ones may still be on their way. */
  opening = 0;
  /**
   * Puts the prediction into the queue again. Called when neither Redis nor the ledger knows it; undefined where the
   * reconciler brings it back, or while it is on its way into Redis. May not throw.
   */
  resubmit: (() => void) | undefined = undefined;
  timer: NodeJS.Timeout | undefined;
  next: Waiter | undefined;

  constructor(
    completions: CompletionListener,
    id: string,
    told: (answer: Answer | null) => void,
    signal: DisconnectSignal | undefined,
    next: Waiter | undefined,
  ) {
    this.#completions = completions;
    this.id = id;
    this.told = told;
    this.signal = signal;
    this.next = next;
    this.since = next?.since ?? performance.now();
  }

  gone(): void {
    this.#completions.forget(this);
  }
}

interface Listener {
  connection: Connection;
  /** Undefined once its position is known. */
  ready: Promise<void> | undefined;
  lastId: string;
}

export interface CompletionsDeps {
  live: LiveStore;
  keys: Keys;
  /** Opens a connection of the listener's own, whose calls may block for ever. */
  connect(shard: number): Connection;
  /** What the ledger has of a prediction that has ended. */
  findEnded(id: string): Promise<PredictionRecord | undefined>;
  /** Which of the ids the ledger has. */
  findRecorded(ids: readonly string[]): Promise<{ id: string; status: Status }[]>;
  log: Logger;
}

export class CompletionListener {
  readonly #live: LiveStore;
  readonly #keys: Keys;
  readonly #connect: (shard: number) => Connection;
  readonly #log: Logger;
  readonly #findEnded: CompletionsDeps['findEnded'];
  readonly #findRecorded: CompletionsDeps['findRecorded'];
  readonly #waiters = new Map<string, Waiter>();
  readonly #listeners: (Listener | undefined)[] = new Array(SHARDS);
  readonly #timer: NodeJS.Timeout;
  #closed = false;
  #rereading = false;

  constructor({ live, keys, connect, findEnded, findRecorded, log }: CompletionsDeps) {
    this.#live = live;
    this.#keys = keys;
    this.#connect = connect;
    this.#findEnded = findEnded;
    this.#findRecorded = findRecorded;
    this.#log = log;
    this.#timer = setInterval(() => void this.#reread(), REREAD_MS);
    this.#timer.unref();
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves (undefined: it has) once events of the shard are being read: call it before the work whose end is awaited is
   * added.
   */
  listen(shard: number): Promise<void> | undefined {
    return (this.#listeners[shard] ?? this.#startListener(shard)).ready;
  }

  /**
   * Registers a waiter at once; `told` is called with the answer, or with null after `waitMs` or when the signal aborts,
   * which may be before this returns. Register first, then read the state: the other way round loses what happens in between.
   */
  tell(
    id: string,
    waitMs: number,
    signal: DisconnectSignal | undefined,
    told: (answer: Answer | null) => void,
  ): Waiter {
    void this.listen(shardOfId(id));
    const waiter = new Waiter(this, id, told, signal, this.#waiters.get(id));
    waiter.timer = setTimeout(giveUp, waitMs, waiter);
    this.#waiters.set(id, waiter);
    if (signal) signal.listener = waiter;
    if (signal?.aborted || this.#closed) this.forget(waiter);
    return waiter;
  }

  /** As `tell`, by a promise. */
  wait(id: string, waitMs: number, signal?: DisconnectSignal): Promise<Answer | null> {
    return new Promise((resolve) => void this.tell(id, waitMs, signal, resolve));
  }

  /** Ends a wait with null, if it has not ended. */
  forget(waiter: Waiter): void {
    const { id } = waiter;
    let before: Waiter | undefined;
    for (let one = this.#waiters.get(id); one; before = one, one = one.next) {
      if (one !== waiter) continue;
      if (before) before.next = waiter.next;
      else if (waiter.next) this.#waiters.set(id, waiter.next);
      else this.#waiters.delete(id);
      settle(waiter, null);
      return;
    }
  }

  /** Gives all who wait for a prediction the same answer. */
  #end(id: string, answer: Answer | null): void {
    let waiter = this.#waiters.get(id);
    if (!waiter) return;
    this.#waiters.delete(id);
    for (; waiter; waiter = waiter.next) settle(waiter, answer);
  }

  #startListener(shard: number): Listener {
    const connection = this.#connect(shard);
    const listener: Listener = { connection, lastId: '0-0', ready: Promise.resolve() };
    this.#listeners[shard] = listener;
    listener.ready = this.#position(listener, shard).then(
      () => {
        listener.ready = undefined;
        void this.#read(listener, shard);
      },
      (error) => {
        this.#listeners[shard] = undefined;
        connection.disconnect();
        throw error;
      },
    );
    listener.ready.catch(() => {});
    return listener;
  }

  async #position(listener: Listener, shard: number): Promise<void> {
    // The connection itself waits for ever; the caller who asked for it does not.
    const asked = listener.connection.xrevrange(this.#keys.events(shard), '+', '-', 'COUNT', 1);
    asked.catch(() => {});
    let ticks = 0;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        ticks += 1;
        if (ticks > POSITION_TICKS) reject(new Error('Redis did not tell the position of its events'));
      }, POSITION_TICK_MS);
    });
    try {
      const last = await Promise.race([asked, late]);
      listener.lastId = last[0]?.[0] ?? '0-0';
    } finally {
      clearInterval(timer);
    }
  }

  async #read(listener: Listener, shard: number): Promise<void> {
    const key = this.#keys.events(shard);
    while (!this.#closed) {
      try {
        const answer = await listener.connection.xread('COUNT', 64, 'BLOCK', BLOCK_MS, 'STREAMS', key, listener.lastId);
        for (const [id, fields] of answer?.[0]?.[1] ?? []) {
          listener.lastId = id;
          for (let at = 0; at < fields.length; at += 2) this.#wake(fields[at] as string, fields[at + 1] as string);
        }
        if (answer === null) await this.#restartAfterLoss(listener, key);
      } catch (error) {
        if (this.#closed) return;
        this.#log.warn({ err: error, shard }, 'completion events cannot be read');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** A Redis that lost its data counts event ids anew; a position ahead of the stream would never be reached. */
  async #restartAfterLoss(listener: Listener, key: string): Promise<void> {
    const last = await listener.connection.xrevrange(key, '+', '-', 'COUNT', 1);
    const lastId = last[0]?.[0] ?? '0-0';
    if (Number(lastId.split('-')[0]) < Number(listener.lastId.split('-')[0])) listener.lastId = '0-0';
  }

  #wake(id: string, value: string): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined || (waiter.opening > 0 && openingOf(value) < waiter.opening)) return;
    const completion = parseCompletion(value);
    if (completion === null || completion.result === null) void this.#readLong(id).catch(() => {});
    else this.#end(id, completion as Answer);
  }

  /** A long result, which is not in its event. While memory is short Redis keeps it only until the ledger has it. */
  async #readLong(id: string): Promise<void> {
    if (await this.#readOne(id)) return;
    const row = await this.#findEnded(id);
    if (row) this.#end(id, answerOf(row));
  }

  /** Whether Redis knows the prediction. */
  async #readOne(id: string): Promise<boolean> {
    const state = await this.#live.read(id);
    if (state && isTerminal(state.status)) this.#end(id, answerOf(state));
    return state !== null;
  }

  async #reread(): Promise<void> {
    if (this.#rereading) return;
    this.#rereading = true;
    try {
      const old = performance.now() - REREAD_MS;
      const due: string[] = [];
      for (const [id, { since }] of this.#waiters) if (since <= old) due.push(id);
      for (let at = 0; at < due.length; at += REREAD_AT_ONCE) {
        const some = due.slice(at, at + REREAD_AT_ONCE);
        const known = await Promise.all(some.map((id) => this.#readOne(id)));
        const lost = some.filter((_, place) => !known[place]);
        if (lost.length > 0) await this.#recover(lost);
        await new Promise(setImmediate);
      }
    } catch {
      // A store is away: the waiters stay, and the next round tries again.
    } finally {
      this.#rereading = false;
    }
  }

  /**
   * Redis does not know these predictions: it has lost its data, or has let a recorded end go while its memory is short. An end
   * is read from the ledger, and a promise is left to the reconciler. A prediction that only its waiting caller knows goes into
   * the queue again, under its id.
   */
  async #recover(ids: readonly string[]): Promise<void> {
    const recorded = new Map((await this.#findRecorded(ids)).map(({ id, status }) => [id, status]));
    let resubmitted = 0;
    for (const id of ids) {
      const status = recorded.get(id);
      if (status === undefined) resubmitted += this.#resubmit(id);
      else if (isTerminal(status)) await this.#readLong(id);
    }
    if (resubmitted > 0) this.#log.warn({ resubmitted }, 'Redis lost predictions whose callers wait: submitted again');
  }

  /** Returns how many submissions began: 1, or 0 where the prediction is not for this process to submit. */
  #resubmit(id: string): number {
    let waiter = this.#waiters.get(id);
    while (waiter && !waiter.resubmit) waiter = waiter.next;
    waiter?.resubmit?.();
    return waiter ? 1 : 0;
  }

  /** Sends every waiter home with null and closes the listeners. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const id of [...this.#waiters.keys()]) this.#end(id, null);
    for (const listener of this.#listeners) listener?.connection.disconnect();
  }
}

const giveUp = (waiter: Waiter): void => waiter.gone();

function settle(waiter: Waiter, answer: Answer | null): void {
  clearTimeout(waiter.timer);
  if (waiter.signal) waiter.signal.listener = undefined;
  waiter.told(answer);
}

export function answerOf(state: PredictionRecord): Answer {
  return {
    status: state.status,
    attempts: state.attempts,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
    result: state.result,
  };
}
