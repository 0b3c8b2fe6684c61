/**
 * Ends the waits of callers when their predictions end. One listener per shard reads completion events from an explicit
 * position in the stream. Every second the listener also reads the live states of waiting callers, so that a lost event delays
 * a result by a second at most. A prediction that Redis lost and that only the waiting caller knows is submitted again.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { type Completion, parseCompletion } from '@millrace/shared/live/completion';
import { openingOf } from '@millrace/shared/live/state';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOfId } from '@millrace/shared/predictions/ids';
import type { Text } from '@millrace/shared/predictions/long-text';
import {
  isTerminal,
  type Prediction,
  type PredictionRecord,
  type Status,
} from '@millrace/shared/predictions/prediction';
import { endOfTurn } from '@millrace/shared/process/turn';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import { OutputUnavailable, type WithOutput } from './ledger-outputs.ts';

const REREAD_MS = 1_000;
/** Counted in timer ticks, not wall time: while the event loop is blocked, the reply may already be in the socket. */
const POSITION_TICKS = 16;
const POSITION_TICK_MS = 50;
const BLOCK_MS = 5_000;
const RETRY_MS = 100;
/** Ends whose responses take less time to write than a round trip to Redis. */
const FEW_ENDS = 4;
/** The most states that one turn of the event loop reads again, so that 10,000 waiters do not block the event loop. */
const REREAD_AT_ONCE = 500;

/** The end of a prediction, with the result. */
export type CompletedEnd = Omit<Completion, 'result'> & { result: Text };

const hasResult = (end: Completion): end is Completion & { result: string } => end.result !== null;

type EndedRecord = PredictionRecord & ({ shared: boolean } | Pick<Prediction, 'cache'>);

/** Writes the end into the prediction, which no other object may refer to. */
export function withEnd(prediction: Prediction, end: CompletedEnd): Prediction {
  prediction.status = end.status;
  prediction.result = end.result;
  prediction.attempts = end.attempts;
  prediction.startedAt = end.startedAt;
  prediction.completedAt = end.completedAt;
  prediction.inferenceMs = end.inferenceMs;
  prediction.batchSize = end.batchSize;
  if (end.shared) prediction.cache = 'collapsed';
  // A follower whose leader was lost became a leader.
  else if (prediction.cache === 'collapsed') prediction.cache = 'miss';
  return prediction;
}

/** Reports to a wait that its caller is gone: http/client-disconnect.ts has the signal of a request. */
export interface WaitSignal {
  readonly aborted: boolean;
  /** Called once. */
  listener: { gone(): void } | undefined;
}

/** One wait for a prediction. */
export interface Wait {
  readonly id: string;
  readonly waitMs: number;
  readonly signal: WaitSignal | undefined;
  /** Called once: with the end, or with null when the wait ended first. Must not throw. */
  onCompleted(end: CompletedEnd | null): void;
}

export interface Resubmitter {
  /** Submits the prediction again. Called when neither Redis nor the ledger has the prediction. Must not throw. */
  resubmit(): void;
}

/** A registered wait. */
export class Waiter {
  readonly wait: Wait;
  /** When the first wait for this prediction was registered, on the monotonic clock. */
  readonly since: number;
  readonly #completions: CompletionListener;
  /** The opening whose end is awaited: events of earlier openings may still arrive. */
  opening = 0;
  /** Undefined where the reconciler restores the prediction, and during a submission. */
  resubmitter: Resubmitter | undefined = undefined;
  timer: NodeJS.Timeout | undefined;
  /** Another waiter for the same prediction, which is rare. */
  next: Waiter | undefined;

  constructor(completions: CompletionListener, wait: Wait, next: Waiter | undefined) {
    this.#completions = completions;
    this.wait = wait;
    this.next = next;
    this.since = next?.since ?? performance.now();
  }

  /** Called when the client disconnects. */
  gone(): void {
    this.#completions.forget(this);
  }
}

interface Listener {
  connection: Connection;
  /** Undefined after the position is read. */
  ready: Promise<void> | undefined;
  lastId: string;
}

export interface CompletionsDeps {
  live: LiveStore;
  keys: Keys;
  /** Reads the output of a live state that only describes its output. */
  withOutput: WithOutput;
  /** Opens a connection for one listener, on which commands may block without a timeout. */
  connect(shard: number): Connection;
  /** Returns an ended prediction from the ledger. */
  findEnded(id: string): Promise<EndedRecord | undefined>;
  /** Returns the predictions of these ids that the ledger has. */
  findRecorded(ids: readonly string[]): Promise<{ id: string; status: Status }[]>;
  log: Logger;
}

export class CompletionListener {
  readonly #live: LiveStore;
  readonly #withOutput: WithOutput;
  readonly #keys: Keys;
  readonly #connect: (shard: number) => Connection;
  readonly #log: Logger;
  readonly #findEnded: CompletionsDeps['findEnded'];
  readonly #findRecorded: CompletionsDeps['findRecorded'];
  readonly #waiters = new Map<string, Waiter>();
  readonly #listeners: (Listener | undefined)[] = new Array(SHARDS);
  readonly #timer: NodeJS.Timeout;
  /** Predictions whose long results are read after their events. */
  readonly #longReads = new Set<string>();
  #closed = false;
  #rereading = false;

  constructor({ live, withOutput, keys, connect, findEnded, findRecorded, log }: CompletionsDeps) {
    this.#live = live;
    this.#withOutput = withOutput;
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
   * Resolves when the listener reads the events of the shard; returns undefined when the listener already does. A caller
   * listens before the submission.
   */
  listen(shard: number): Promise<void> | undefined {
    return (this.#listeners[shard] ?? this.#startListener(shard)).ready;
  }

  /**
   * Listens to these shards before the first caller needs an event. A Redis on busy cores may take longer to open a connection than a
   * caller may wait, so each shard may take `timeoutMs`. The first caller of a shard that was late listens again.
   */
  async open(shards: Iterable<number>, timeoutMs: number): Promise<void> {
    const ticksMax = timeoutMs / POSITION_TICK_MS;
    const opened = await Promise.allSettled(
      [...new Set(shards)].map((shard) => (this.#listeners[shard] ?? this.#startListener(shard, ticksMax)).ready),
    );
    for (const one of opened)
      if (one.status === 'rejected') this.#log.warn({ err: one.reason }, 'cannot listen to completion events yet');
  }

  /**
   * Registers a wait, which ends after `waitMs`, or when the signal aborts, possibly before this call returns. A caller
   * registers first and then reads the state. In the other order, an end between the two steps would be missed.
   */
  register(wait: Wait): Waiter {
    const { id, waitMs, signal } = wait;
    void this.listen(shardOfId(id));
    const waiter = new Waiter(this, wait, this.#waiters.get(id));
    waiter.timer = setTimeout(giveUp, waitMs, waiter);
    this.#waiters.set(id, waiter);
    if (signal) signal.listener = waiter;
    if (signal?.aborted || this.#closed) this.forget(waiter);
    return waiter;
  }

  /** Does the same as `register` with a promise. */
  wait(id: string, waitMs: number, signal: WaitSignal): Promise<CompletedEnd | null> {
    return new Promise((resolve) => void this.register({ id, waitMs, signal, onCompleted: resolve }));
  }

  /** Ends a wait with null, if the wait has not ended. */
  forget(waiter: Waiter): void {
    const { id } = waiter.wait;
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

  /** Ends all waits for a prediction. */
  #end(id: string, end: CompletedEnd | null): void {
    let waiter = this.#waiters.get(id);
    if (!waiter) return;
    this.#waiters.delete(id);
    for (; waiter; waiter = waiter.next) settle(waiter, end);
  }

  #startListener(shard: number, ticksMax = POSITION_TICKS): Listener {
    const connection = this.#connect(shard);
    const listener: Listener = { connection, lastId: '0-0', ready: Promise.resolve() };
    this.#listeners[shard] = listener;
    listener.ready = this.#position(listener, shard, ticksMax).then(
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

  /** Reads the position of the newest event. The connection has no timeout, so this function counts ticks. */
  async #position(listener: Listener, shard: number, ticksMax: number): Promise<void> {
    const reading = listener.connection.xrevrange(this.#keys.events(shard), '+', '-', 'COUNT', 1);
    reading.catch(() => {});
    let ticks = 0;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        ticks += 1;
        if (ticks > ticksMax) reject(new Error('Redis did not return the position of its events in time'));
      }, POSITION_TICK_MS);
    });
    try {
      const last = await Promise.race([reading, late]);
      listener.lastId = last[0]?.[0] ?? '0-0';
    } finally {
      clearInterval(timer);
    }
  }

  async #read(listener: Listener, shard: number): Promise<void> {
    const key = this.#keys.events(shard);
    while (!this.#closed) {
      try {
        const reply = await listener.connection.xread('COUNT', 64, 'BLOCK', BLOCK_MS, 'STREAMS', key, listener.lastId);
        let ends = 0;
        for (const [id, fields] of reply?.[0]?.[1] ?? []) {
          listener.lastId = id;
          ends += fields.length / 2;
          for (let at = 0; at < fields.length; at += 2) this.#wake(fields[at] ?? '', fields[at + 1] ?? '');
        }
        if (reply === null) await this.#restartAfterLoss(listener, key);
        // A few responses are written before the next read. Redis prepares the next ends while many responses are written.
        else if (ends <= FEW_ENDS) await endOfTurn();
      } catch (error) {
        if (this.#closed) return;
        this.#log.warn({ err: error, shard }, 'could not read completion events');
        await delay(RETRY_MS);
      }
    }
  }

  /** A Redis that lost its data starts new event ids. The stream would never reach an old position ahead of the new ids. */
  async #restartAfterLoss(listener: Listener, key: string): Promise<void> {
    const last = await listener.connection.xrevrange(key, '+', '-', 'COUNT', 1);
    const lastId = last[0]?.[0] ?? '0-0';
    if (Number(lastId.split('-')[0]) < Number(listener.lastId.split('-')[0])) listener.lastId = '0-0';
  }

  #wake(id: string, value: string): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined || (waiter.opening > 0 && openingOf(value) < waiter.opening)) return;
    const completion = parseCompletion(value);
    if (completion !== null && hasResult(completion)) this.#end(id, completion);
    else {
      this.#longReads.add(id);
      void this.#readLong(id)
        .catch(() => {})
        .finally(() => this.#longReads.delete(id));
    }
  }

  /**
   * Reads a long result, which is not in its event. While memory is short, Redis keeps a long result only until the ledger has
   * the result.
   */
  async #readLong(id: string): Promise<void> {
    if (await this.#readOne(id)) return;
    const row = await this.#findEnded(id);
    if (row) this.#end(id, endOf(row));
  }

  /** Returns whether Redis has the prediction. Ends the waits for a prediction that has ended. */
  async #readOne(id: string): Promise<boolean> {
    const state = await this.#live.read(id);
    if (state === null || !isTerminal(state.status)) return state !== null;
    const ended = await this.#withOutput(state);
    if (ended) this.#end(id, endOf(ended));
    return ended !== null;
  }

  async #reread(): Promise<void> {
    if (this.#rereading) return;
    this.#rereading = true;
    try {
      const old = performance.now() - REREAD_MS;
      const due: string[] = [];
      // A read of 12 MB can take longer than a round: a second read would only take the same time again.
      for (const [id, { since }] of this.#waiters) if (since <= old && !this.#longReads.has(id)) due.push(id);
      for (let at = 0; at < due.length; at += REREAD_AT_ONCE) {
        const some = due.slice(at, at + REREAD_AT_ONCE);
        const open = await this.#live.areOpen(some);
        const others = some.filter((_, place) => !open[place]);
        const known = await Promise.all(others.map((id) => this.#readOne(id).catch(keepWaiting)));
        const lost = others.filter((_, place) => !known[place]);
        if (lost.length > 0) await this.#recover(lost);
        await new Promise(setImmediate);
      }
    } catch {
      // A store does not respond: the waiters stay, and the next round reads again.
    } finally {
      this.#rereading = false;
    }
  }

  /**
   * Recovers predictions that Redis does not have: Redis lost its data, or discarded a recorded end because memory is short. An
   * end is read from the ledger. The reconciler restores a promise. A prediction that only the waiting caller knows is
   * submitted again, under its id.
   */
  async #recover(ids: readonly string[]): Promise<void> {
    const recorded = new Map((await this.#findRecorded(ids)).map(({ id, status }) => [id, status]));
    let resubmitted = 0;
    for (const id of ids) {
      const status = recorded.get(id);
      if (status === undefined) resubmitted += this.#resubmit(id);
      else if (isTerminal(status)) await this.#readLong(id);
    }
    if (resubmitted > 0)
      this.#log.warn({ resubmitted }, 'Redis lost predictions whose callers wait: they are submitted again');
  }

  /** Returns the number of submissions: 1, or 0 where this process cannot submit the prediction. */
  #resubmit(id: string): number {
    let waiter = this.#waiters.get(id);
    while (waiter && !waiter.resubmitter) waiter = waiter.next;
    waiter?.resubmitter?.resubmit();
    return waiter ? 1 : 0;
  }

  /** Ends every wait with null and closes the listeners. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const id of [...this.#waiters.keys()]) this.#end(id, null);
    for (const listener of this.#listeners) listener?.connection.disconnect();
  }
}

/** While Postgres does not respond, the callers of outputs in the ledger wait, and the other callers get their results. */
function keepWaiting(error: unknown): true {
  if (error instanceof OutputUnavailable) return true;
  throw error;
}

const giveUp = (waiter: Waiter): void => waiter.gone();

function settle({ timer, wait }: Waiter, end: CompletedEnd | null): void {
  clearTimeout(timer);
  if (wait.signal) wait.signal.listener = undefined;
  wait.onCompleted(end);
}

function endOf(state: EndedRecord): CompletedEnd {
  return {
    status: state.status,
    shared: 'shared' in state ? state.shared : state.cache === 'collapsed',
    attempts: state.attempts,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
    result: state.result,
  };
}
