/**
 * Merges the predictions that the worker holds of each model version into runs. While the engines run, newcomers gather;
 * when a slot is free, the most urgent of the gathered predictions go together.
 *
 * The order: by priority, then by age (when the job was added). Versions with equally urgent predictions take turns. Held
 * predictions rise by one priority for each AGING_MS that they wait here, so that no flood of higher priority starves them.
 *
 * The slots: one run for each engine and one more may be under way. Runs of lower priority take no slot from runs of
 * higher priority, so that an urgent prediction waits for the current run of an engine only. A run that takes longer than
 * LONG_MS (a prediction of very many rows) takes no slot from other versions.
 */
import type { Pace } from './pace.ts';

const AGING_MS = 10_000;
const LONG_MS = 1_000;
/** How often a dispatcher with waiting predictions looks for runs that have become long. */
const TICK_MS = 250;

/** The worker stops: predictions that had not begun go back to the queue at once, for others. */
export class HandedBack extends Error {
  override name = 'HandedBack';
}

export interface Added<T> {
  /** Model version: predictions of one key may be run together. */
  key: string;
  items: readonly T[];
  /** Rows of each item; absent where each has one. */
  rows?: readonly number[] | undefined;
  /** BullMQ's number: lower goes first. */
  priority: number;
  /** Unix ms when the job was added, by the clock of its API process. */
  addedAt: number;
  /** Most rows that the model takes at once. */
  maxBatch: number;
  pace: Pace;
  /** Runs items of several callers together; `priority` is the most urgent of them. Resolves to the rows computed. */
  run(items: T[], priority: number): Promise<number>;
}

interface Caller {
  /** Items that have not ended. */
  left: number;
  runs: number;
  failure: { error: unknown } | undefined;
  resolve(): void;
  reject(error: unknown): void;
}

interface Held<T> {
  items: readonly T[];
  rows: readonly number[] | undefined;
  priority: number;
  addedAt: number;
  heldSince: number;
  caller: Caller;
}

interface Gathering<T> {
  /** In the order of priority, then age. */
  held: Held<T>[];
  added: Added<T>;
}

interface Run {
  key: string;
  priority: number;
  startedAt: number;
}

export interface DispatcherOptions {
  /** Runs that are under way at once: one for each engine, and one more that is prepared meanwhile. */
  slots(): number;
  /** Priorities that held predictions rise through, most urgent first. */
  priorities: readonly number[];
  now?: () => number;
}

export class Dispatcher<T> {
  readonly #options: DispatcherOptions;
  readonly #now: () => number;
  readonly #gathering = new Map<string, Gathering<T>>();
  readonly #runs = new Set<Run>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get inFlight(): number {
    return this.#runs.size;
  }

  /** Predictions that are held and have not begun. */
  get waiting(): number {
    let count = 0;
    for (const { held } of this.#gathering.values()) for (const { items } of held) count += items.length;
    return count;
  }

  /** Rows that are held at a pace and have not begun: of this priority or a more urgent one, or of all. */
  waitingRows(pace: Pace, priority = Number.POSITIVE_INFINITY): number {
    let rows = 0;
    for (const { held, added } of this.#gathering.values()) {
      if (added.pace !== pace) continue;
      for (const one of held) if (one.priority <= priority) rows += rowsOf(one);
    }
    return rows;
  }

  /** Resolves when all items were run; rejects when a run that they were part of did, after all their runs have ended. */
  add(added: Added<T>): Promise<void> {
    if (this.#closed) return Promise.reject(new HandedBack('the worker stops'));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { key, items, rows, priority, addedAt } = added;
    const caller: Caller = { left: items.length, runs: 0, failure: undefined, resolve, reject };
    let gathering = this.#gathering.get(key);
    if (!gathering) {
      gathering = { held: [], added };
      this.#gathering.set(key, gathering);
    }
    insert(gathering.held, { items, rows, priority, addedAt, heldSince: this.#now(), caller });
    this.#pump();
    return promise;
  }

  /** Moves the first held item that is meant to a more urgent priority. Returns whether the item was found waiting. */
  raise(isMeant: (item: T) => boolean, priority: number): boolean {
    for (const { held } of this.#gathering.values()) {
      for (const [at, one] of held.entries()) {
        const place = one.items.findIndex(isMeant);
        if (place < 0) continue;
        if (one.priority <= priority) return true;
        const [before, own, after] = [part(one, 0, place), part(one, place, place + 1), part(one, place + 1)];
        held.splice(at, 1, ...[before, after].filter(({ items }) => items.length > 0));
        insert(held, { ...own, priority });
        this.#pump();
        return true;
      }
    }
    return false;
  }

  /** Begins nothing more: waiting and new items are rejected with HandedBack. Runs under way go on. */
  handBack(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    const callers = new Set([...this.#gathering.values()].flatMap(({ held }) => held.map(({ caller }) => caller)));
    this.#gathering.clear();
    for (const caller of callers) fail(caller, new HandedBack('the worker stops'));
  }

  #pump(): void {
    while (this.#gathering.size > 0) {
      const next = this.#next();
      if (next === undefined) break;
      this.#begin(next.gathering, next.priority);
    }
    this.#tick();
  }

  /** The version whose turn it is: of the most urgent the one that waited longest for its turn. */
  #next(): { gathering: Gathering<T>; priority: number } | undefined {
    let best: { gathering: Gathering<T>; priority: number } | undefined;
    for (const [key, gathering] of this.#gathering) {
      const priority = this.#urgencyOf(gathering);
      if ((best === undefined || priority < best.priority) && this.#hasSlot(key, priority))
        best = { gathering, priority };
    }
    return best;
  }

  #urgencyOf({ held }: Gathering<T>): number {
    const now = this.#now();
    let best = Number.POSITIVE_INFINITY;
    let last: number | undefined;
    for (const one of held) {
      // In order: only the first of each priority can be the oldest.
      if (one.priority === last) continue;
      last = one.priority;
      best = Math.min(best, this.#aged(one, now));
    }
    return best;
  }

  /** The priority that an item has by now. */
  #aged({ priority, heldSince }: Held<T>, now: number): number {
    const steps = Math.floor((now - heldSince) / AGING_MS);
    if (steps === 0) return priority;
    const { priorities } = this.#options;
    const at = priorities.indexOf(priority);
    return at < 0 ? priority : (priorities[Math.max(0, at - steps)] as number);
  }

  #hasSlot(key: string, priority: number): boolean {
    const slots = this.#options.slots();
    if (this.#runs.size < slots) return true;
    const long = this.#now() - LONG_MS;
    let taken = 0;
    for (const run of this.#runs) if (run.priority <= priority && (run.key === key || run.startedAt > long)) taken += 1;
    return taken < slots;
  }

  #begin(gathering: Gathering<T>, priority: number): void {
    const { added } = gathering;
    const { key, pace } = added;
    const taken = this.#take(gathering, priority);
    // To the back of the queue, or out of it.
    this.#gathering.delete(key);
    if (gathering.held.length > 0) this.#gathering.set(key, gathering);
    const run = { key, priority, startedAt: this.#now() };
    this.#runs.add(run);
    for (const { caller } of taken) caller.runs += 1;
    pace.begin(run.startedAt);
    void this.#run(run, added, taken);
  }

  /**
   * The items of the next run: at most `maxBatch` rows of several callers, or more of one caller. Items of lower priority
   * join only where a full micro-batch is so short that the urgent ones lose next to nothing.
   */
  #take({ held, added: { maxBatch, pace } }: Gathering<T>, priority: number): Held<T>[] {
    const now = this.#now();
    const taken: Held<T>[] = [];
    let rows = 0;
    const gather = (joins: (one: Held<T>) => boolean): void => {
      for (let at = 0; at < held.length && (taken.length === 0 || rows < maxBatch); ) {
        const one = held[at] as Held<T>;
        if (!joins(one)) {
          at += 1;
          continue;
        }
        const first = taken.length === 0;
        const fit = fitting(one, first ? pace.runRows(maxBatch) : maxBatch - rows);
        if (fit === 0 && !first) return;
        const count = Math.max(1, fit);
        const own = count === one.items.length ? one : part(one, 0, count);
        taken.push(own);
        rows += rowsOf(own);
        if (own === one) held.splice(at, 1);
        else held[at] = part(one, count);
      }
    };
    // Risen items waited longest: they go before the items whose own priority this is.
    if (held.some((one) => this.#aged(one, now) < one.priority))
      gather((one) => this.#aged(one, now) < one.priority && this.#aged(one, now) <= priority);
    gather((one) => this.#aged(one, now) <= priority);
    if (rows < maxBatch && held.length > 0 && pace.fills(maxBatch)) gather(() => true);
    return taken;
  }

  async #run(run: Run, { pace, run: compute }: Added<T>, taken: readonly Held<T>[]): Promise<void> {
    let rows = 0;
    try {
      const items = taken.length === 1 ? [...(taken[0] as Held<T>).items] : taken.flatMap(({ items }) => items);
      rows = await compute(items, run.priority);
      for (const { caller, items } of taken) {
        caller.left -= items.length;
        end(caller);
      }
    } catch (error) {
      for (const { caller } of taken) {
        this.#drop(run.key, caller);
        caller.runs -= 1;
        fail(caller, error);
      }
    } finally {
      this.#runs.delete(run);
      pace.end(rows, this.#now());
      this.#pump();
    }
  }

  /** What a caller has waiting is not begun after one of its runs failed: the caller tries again as a whole. */
  #drop(key: string, caller: Caller): void {
    const gathering = this.#gathering.get(key);
    if (!gathering) return;
    gathering.held = gathering.held.filter((one) => one.caller !== caller);
    if (gathering.held.length === 0) this.#gathering.delete(key);
  }

  /** A run becomes long, and a held item older, without any event. */
  #tick(): void {
    if (this.#gathering.size === 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      if (this.#gathering.size > 0) return this.#pump();
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, TICK_MS).unref();
  }
}

/** Ends one run of a caller. */
function end(caller: Caller): void {
  caller.runs -= 1;
  if (caller.failure !== undefined) fail(caller, caller.failure.error);
  else if (caller.left === 0) caller.resolve();
}

/** Rejects a caller as soon as none of its runs is under way: its items may go to another worker then. */
function fail(caller: Caller, error: unknown): void {
  caller.failure ??= { error };
  if (caller.runs === 0) caller.reject(caller.failure.error);
}

function insert<T>(held: Held<T>[], one: Held<T>): void {
  let at = held.length;
  while (at > 0 && isBefore(one, held[at - 1] as Held<T>)) at -= 1;
  held.splice(at, 0, one);
}

const isBefore = <T>(one: Held<T>, other: Held<T>): boolean =>
  one.priority < other.priority || (one.priority === other.priority && one.addedAt < other.addedAt);

const part = <T>(one: Held<T>, from: number, to?: number): Held<T> => ({
  ...one,
  items: one.items.slice(from, to),
  rows: one.rows?.slice(from, to),
});

const rowsOf = <T>({ items, rows }: Held<T>): number =>
  rows === undefined ? items.length : rows.reduce((sum, count) => sum + count, 0);

/** How many of the first items have at most `room` rows together. */
function fitting<T>({ items, rows }: Held<T>, room: number): number {
  if (rows === undefined) return Math.min(items.length, room);
  let sum = 0;
  let count = 0;
  while (count < items.length && sum + (rows[count] ?? 1) <= room) {
    sum += rows[count] ?? 1;
    count += 1;
  }
  return count;
}
