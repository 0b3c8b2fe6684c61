/**
 * Merges the held predictions of each model version into runs. New predictions are collected while the engines run. When a slot is
 * free, the most urgent predictions of one version start as one run.
 *
 * Order: by priority, then by age (the time at which the job was added). Versions with equally urgent predictions alternate. A held
 * prediction rises by one priority for each AGING_MS of waiting here, so that a flood of higher priority does not starve it.
 *
 * run-slots.ts decides how many runs can begin.
 */
import type { Pace } from './pace.ts';
import { type Run, RunSlots } from './run-slots.ts';

const AGING_MS = 10_000;
/** Interval at which a dispatcher with waiting predictions checks for runs that have become long. */
const TICK_MS = 250;

/** Rejects held predictions that have not started when the worker stops. Their job goes back to the queue for other workers. */
export class HandedBack extends Error {
  override name = 'HandedBack';
}

/** The held predictions of one job. */
export interface Added<T> {
  /** Model version. Predictions with the same key can run together. */
  key: string;
  items: readonly T[];
  /** Rows of each item. Absent when each item has one row. */
  rows?: readonly number[] | undefined;
  /** BullMQ's number. A lower number runs first. */
  priority: number;
  /** Time at which the job was added (Unix ms, shared clock). */
  addedAt: number;
  /** Most rows of one micro-batch of the model. */
  maxBatch: number;
  /** The most engines that run the version at once. Absent: all. */
  instances?: number | undefined;
  pace: Pace;
  /** Duration of the last call of an engine with this version, in ms; 0 before the first call. */
  callMs(): number;
  run(run: ItemsRun<T>): Promise<number>;
}

/** One run. Resolves to the number of computed rows. */
export interface ItemsRun<T> {
  /** Items of several callers. */
  items: T[];
  /** The priority of the most urgent item. */
  priority: number;
  /** Reports that the run has left its engine, and that its results take long to store. */
  onStoring(): void;
}

interface Caller {
  /** Number of items that have not ended. */
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
  /** Sorted by priority, then by age. */
  held: Held<T>[];
  added: Added<T>;
}

export interface DispatcherOptions {
  /** Number of concurrent runs: one for each engine, and one more that is prepared meanwhile. */
  slots(): number;
  /** The priorities through which held predictions rise, most urgent first. */
  priorities: readonly number[];
  now?: () => number;
}

export class Dispatcher<T> {
  readonly #options: DispatcherOptions;
  readonly #now: () => number;
  readonly #gathering = new Map<string, Gathering<T>>();
  readonly #slots: RunSlots;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#slots = new RunSlots(options.slots);
  }

  get inFlight(): number {
    return this.#slots.taken;
  }

  /** Number of held predictions that have not started. */
  get waiting(): number {
    let count = 0;
    for (const { held } of this.#gathering.values()) for (const { items } of held) count += items.length;
    return count;
  }

  /** The oldest addition that has not started, for each key and priority. */
  oldest(): { key: string; priority: number; addedAt: number }[] {
    return [...this.#gathering].flatMap(([key, { held }]) => {
      const ages = new Map<number, number>();
      for (const { priority, addedAt } of held) ages.set(priority, Math.min(addedAt, ages.get(priority) ?? addedAt));
      return [...ages].map(([priority, addedAt]) => ({ key, priority, addedAt }));
    });
  }

  /** Held rows of the model with this pace that have not started, of this priority or more urgent priorities. */
  waitingRows(pace: Pace, priority = Number.POSITIVE_INFINITY): number {
    let rows = 0;
    for (const { held, added } of this.#gathering.values()) {
      if (added.pace !== pace) continue;
      for (const one of held) if (one.priority <= priority) rows += rowsOf(one);
    }
    return rows;
  }

  /** Resolves when all items have run. Rejects when one of their runs has failed and all their runs have ended. */
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
    this.#startRuns();
    return promise;
  }

  /** Moves the first held item for which `isMeant` is true to a more urgent priority. Returns whether such an item waits here. */
  raise(isMeant: (item: T) => boolean, priority: number): boolean {
    for (const { held } of this.#gathering.values()) {
      for (const [at, one] of held.entries()) {
        const place = one.items.findIndex(isMeant);
        if (place < 0) continue;
        if (one.priority <= priority) return true;
        const [before, own, after] = [part(one, 0, place), part(one, place, place + 1), part(one, place + 1)];
        held.splice(at, 1, ...[before, after].filter(({ items }) => items.length > 0));
        insert(held, { ...own, priority });
        this.#startRuns();
        return true;
      }
    }
    return false;
  }

  /** Starts no further run, and rejects waiting and new items with HandedBack. Active runs continue. */
  handBack(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    const callers = new Set([...this.#gathering.values()].flatMap(({ held }) => held.map(({ caller }) => caller)));
    this.#gathering.clear();
    for (const caller of callers) fail(caller, new HandedBack('the worker stops'));
  }

  #startRuns(): void {
    while (this.#gathering.size > 0) {
      const next = this.#next();
      if (next === undefined) break;
      this.#begin(next.gathering, next.priority);
    }
    this.#tick();
  }

  /** The version of the next run: among the most urgent versions, the version whose last run is oldest. */
  #next(): { gathering: Gathering<T>; priority: number } | undefined {
    let best: { gathering: Gathering<T>; priority: number } | undefined;
    for (const gathering of this.#gathering.values()) {
      const priority = this.#urgencyOf(gathering);
      if ((best === undefined || priority < best.priority) && this.#hasSlot(gathering.added, priority))
        best = { gathering, priority };
    }
    return best;
  }

  #urgencyOf({ held }: Gathering<T>): number {
    const now = this.#now();
    let best = Number.POSITIVE_INFINITY;
    let last: number | undefined;
    for (const one of held) {
      // The list is sorted, so the first item of each priority is the oldest item of that priority.
      if (one.priority === last) continue;
      last = one.priority;
      best = Math.min(best, this.#aged(one, now));
    }
    return best;
  }

  /** The priority of an item after aging. */
  #aged({ priority, heldSince }: Held<T>, now: number): number {
    const steps = Math.floor((now - heldSince) / AGING_MS);
    if (steps === 0) return priority;
    const { priorities } = this.#options;
    const at = priorities.indexOf(priority);
    return at < 0 ? priority : (priorities[Math.max(0, at - steps)] as number);
  }

  #hasSlot({ key, instances, callMs }: Added<T>, priority: number): boolean {
    return this.#slots.isFree({ key, priority, instances, callMs: callMs() }, this.#now());
  }

  #begin(gathering: Gathering<T>, priority: number): void {
    const { added } = gathering;
    const { key, pace } = added;
    const taken = this.#take(gathering, priority);
    // Moves the version to the end of the order, or removes the version.
    this.#gathering.delete(key);
    if (gathering.held.length > 0) this.#gathering.set(key, gathering);
    const run = this.#slots.begin(key, priority, this.#now());
    for (const { caller } of taken) caller.runs += 1;
    pace.begin(run.startedAt);
    void this.#run(run, added, taken);
  }

  /**
   * Removes and returns the items of the next run: at most `maxBatch` rows of several callers, or more rows of one caller. Items of
   * lower priority join only when a full micro-batch is so short that the delay of the urgent items is negligible.
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
    // Items whose priority has risen waited longest. They run before the items that were added with this priority.
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
      rows = await compute({ items, priority: run.priority, onStoring: () => this.#store(run) });
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
      this.#slots.end(run);
      pace.end(rows, this.#now());
      this.#startRuns();
    }
  }

  #store(run: Run): void {
    run.isStoring = true;
    this.#startRuns();
  }

  /** Drops the waiting items of a caller after one of its runs has failed: the caller repeats the whole job. */
  #drop(key: string, caller: Caller): void {
    const gathering = this.#gathering.get(key);
    if (!gathering) return;
    gathering.held = gathering.held.filter((one) => one.caller !== caller);
    if (gathering.held.length === 0) this.#gathering.delete(key);
  }

  /** Starts the timer: a run becomes long, and a held item rises, without an event. */
  #tick(): void {
    if (this.#gathering.size === 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => {
      if (this.#gathering.size > 0) return this.#startRuns();
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

/** Rejects a caller as soon as it has no active run. Its items can then go to another worker. */
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

/** Number of the first items that have at most `room` rows together. */
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
