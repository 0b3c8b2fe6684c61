/**
 * Runs the handlers of models away from the event loop, in a few threads. An input has a time limit, and tenants take turns, so
 * that an input harms only its own request.
 */
import { ApiError } from '@millrace/shared/errors';
import { HandlerThread, type RunEnd, ThreadEndedError } from './handler-thread.ts';
import { approximateBytes } from './input-size.ts';
import type { HandlerSource, RowResult } from './messages.ts';
import { Turns } from './turns.ts';

export type { HandlerSource, RowResult };

/** The input took longer than the limit, or was not tried. */
export interface TimedOut {
  /** The reason, after "it took " or as "not tried, because ...". */
  timedOut: string;
  /** The time of `canonicalize`; 0 for an input that was not tried. */
  ms: number;
}

export type PoolResult = RowResult | TimedOut;

export interface HandlerPoolParams {
  threads: number;
  /** The limit of processor time of an input. */
  timeoutMs: number;
  /** The most memory of the JavaScript objects of each thread. */
  memoryMb: number;
}

/** The most bytes of all waiting inputs. */
const WAITING_BYTES = 128 * 1_048_576;
/** The most bytes of the waiting inputs of one tenant. */
const TENANT_BYTES = 64 * 1_048_576;
/** The inputs of one request have this many times the limit of one input. */
const LIMITS_PER_REQUEST = 12;
/** Inputs in one message to a thread. */
const INPUTS_FIRST = 32;
const INPUTS_MAX = 256;
const MESSAGE_BYTES = 1_048_576;
/** Threads without work for this time end, because a handler can hold much memory. */
const IDLE_MS = 60_000;

interface Job {
  source: HandlerSource;
  tenant: string;
  inputs: readonly unknown[];
  sizes: readonly number[];
  bytes: number;
  results: PoolResult[];
  /** Inputs in the next message. */
  chunk: number;
  /** The processor time of the job so far. */
  cpuMs: number;
  resolve(results: PoolResult[]): void;
  reject(error: unknown): void;
}

interface Slot {
  thread: HandlerThread | undefined;
  /** The tenant of the current work. */
  tenant: string | undefined;
  busy: boolean;
}

export class HandlerPool {
  readonly #slots: Slot[];
  readonly #limitMs: number;
  readonly #memoryMb: number;
  readonly #turns = new Turns<Job>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;
  #closed = false;
  #idle: NodeJS.Timeout | undefined;

  constructor({ threads, timeoutMs, memoryMb }: HandlerPoolParams) {
    this.#limitMs = timeoutMs;
    this.#memoryMb = memoryMb;
    this.#slots = Array.from({ length: threads }, () => ({ thread: undefined, tenant: undefined, busy: false }));
  }

  /** Loads a handler in a thread. Rejects with the error of the handler. */
  async load(source: HandlerSource, tenant: string): Promise<void> {
    await this.run(source, [], tenant);
  }

  /**
   * Runs `canonicalize` on each input. Resolves to the results in the order of the inputs. Rejects with `queue_full` when too many
   * inputs wait, and with the error of the handler when the handler cannot be loaded.
   */
  run(source: HandlerSource, inputs: readonly unknown[], tenant: string): Promise<PoolResult[]> {
    const sizes = inputs.map(approximateBytes);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const own = this.#bytesOf.get(tenant) ?? 0;
    if (this.#closed) return Promise.reject(stopping());
    if (own > 0 && (own + bytes > TENANT_BYTES || this.#bytes + bytes > WAITING_BYTES))
      return Promise.reject(
        new ApiError('queue_full', 'Too many inputs wait for the handlers of models. Send the request again later.', {
          retryAfterS: 1,
        }),
      );
    this.#bytes += bytes;
    this.#bytesOf.set(tenant, own + bytes);
    const { promise, resolve, reject } = Promise.withResolvers<PoolResult[]>();
    const job = { source, tenant, inputs, sizes, bytes, results: [], chunk: INPUTS_FIRST, cpuMs: 0, resolve, reject };
    this.#turns.add(tenant, job);
    this.#start();
    return promise;
  }

  /** Releases the memory of a handler: every thread that has the handler ends after its current work. */
  forget(key: string): void {
    for (const { thread } of this.#slots) if (thread?.has(key)) thread.isStale = true;
    for (const slot of this.#slots) this.#endStale(slot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    for (const job of this.#turns.clear()) job.reject(stopping());
    await Promise.all(this.#slots.map(({ thread }) => thread?.end()));
  }

  /** Gives work to free threads. A tenant leaves a thread to the other tenants, since an input can take the whole time limit. */
  #start(): void {
    const most = Math.max(1, this.#slots.length - 1);
    const mayRun = (tenant: string): boolean =>
      this.#slots.reduce((count, slot) => count + Number(slot.busy && slot.tenant === tenant), 0) < most;
    // A thread that runs already starts no other thread.
    const free = this.#slots.filter(({ busy }) => !busy).sort((a, b) => Number(!a.thread) - Number(!b.thread));
    for (const slot of free) {
      const next = this.#closed ? undefined : this.#turns.next(mayRun);
      if (next === undefined) return;
      slot.busy = true;
      slot.tenant = next.tenant;
      void this.#work(slot, next.item).finally(() => {
        slot.busy = false;
        this.#endStale(slot);
        this.#start();
        this.#endIdle();
      });
    }
  }

  /** One turn of a job. Never rejects. */
  async #work(slot: Slot, job: Job): Promise<void> {
    try {
      const thread =
        slot.thread?.ended === false
          ? slot.thread
          : new HandlerThread({ limitMs: this.#limitMs, memoryMb: this.#memoryMb });
      slot.thread = thread;
      await thread.load(job.source).catch((error: unknown) => {
        // Node keeps a failed import for the life of the thread.
        thread.isStale = true;
        throw error;
      });
      if (job.inputs.length > job.results.length) await this.#turn(thread, job);
    } catch (error) {
      this.#finish(job);
      if (this.#closed) job.reject(stopping());
      else job.reject(error instanceof ThreadEndedError ? new Error(`its thread ended: ${error.message}`) : error);
      return;
    }
    if (job.results.length < job.inputs.length) {
      this.#turns.add(job.tenant, job);
      return;
    }
    this.#finish(job);
    job.resolve(job.results);
  }

  async #turn(thread: HandlerThread, job: Job): Promise<void> {
    const inputs = nextInputs(job);
    const end = await thread.run(job.source.key, inputs);
    job.cpuMs += end.cpuMs;
    const { results } = end;
    for (const result of results) job.results.push(result);
    job.chunk = results.length < inputs.length ? Math.max(1, results.length) : Math.min(INPUTS_MAX, 2 * job.chunk);
    if (end.stopped !== undefined) this.#stopped(job, end.stopped);
    else if (job.cpuMs > LIMITS_PER_REQUEST * this.#limitMs && job.results.length < job.inputs.length)
      this.#giveUp(
        job,
        `the inputs of one request have ${LIMITS_PER_REQUEST * this.#limitMs} ms of processor time in all`,
      );
  }

  /** The inputs before the failed input run again, because their results ended with the thread. */
  #stopped(job: Job, { at, why, detail }: NonNullable<RunEnd['stopped']>): void {
    if (at > 0 && !this.#closed) {
      job.chunk = at;
      return;
    }
    const { length } = job.results;
    job.results.push(
      why === 'time'
        ? { timedOut: detail, ms: this.#limitMs }
        : { failed: `the handler ended its thread: ${detail}`, stack: '', ms: 0 },
    );
    // The next inputs can do the same, and each would cost a new thread.
    this.#giveUp(job, `not tried, because input ${length} of the request ended the thread of the handler`);
  }

  /** Ends a job whose time is over. The inputs that are left have no result. */
  #giveUp(job: Job, timedOut: string): void {
    while (job.results.length < job.inputs.length) job.results.push({ timedOut, ms: 0 });
  }

  #finish({ tenant, bytes }: Job): void {
    this.#bytes -= bytes;
    const left = (this.#bytesOf.get(tenant) ?? 0) - bytes;
    if (left > 0) this.#bytesOf.set(tenant, left);
    else this.#bytesOf.delete(tenant);
  }

  #endStale(slot: Slot): void {
    if (slot.busy || slot.thread?.isStale !== true) return;
    void slot.thread.end();
    slot.thread = undefined;
  }

  /** Ends all threads when none has had work for IDLE_MS. */
  #endIdle(): void {
    if (this.#closed || this.#slots.some(({ busy }) => busy)) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      for (const slot of this.#slots) {
        if (slot.busy || slot.thread === undefined) continue;
        void slot.thread.end();
        slot.thread = undefined;
      }
    }, IDLE_MS).unref();
  }
}

const stopping = (): ApiError => new ApiError('shutting_down', 'The server is stopping.', { retryAfterS: 1 });

function nextInputs({ inputs, sizes, results, chunk }: Job): readonly unknown[] {
  const from = results.length;
  let bytes = sizes[from] ?? 0;
  let to = from + 1;
  while (to < inputs.length && to - from < chunk) {
    bytes += sizes[to] ?? 0;
    if (bytes > MESSAGE_BYTES) break;
    to += 1;
  }
  return inputs.slice(from, to);
}
