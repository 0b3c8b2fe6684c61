/**
 * Runs the handlers of models away from the event loop, in a few threads. An input has a time limit, and tenants take turns, so
 * that an input harms only its own request.
 */
import { ApiError } from '@millrace/shared/errors';
import { HandlerThread, type RunEnd, ThreadEndedError } from './handler-thread.ts';
import { approximateBytes } from './input-size.ts';
import {
  INPUTS_FIRST,
  INPUTS_MAX,
  type Job,
  leftOf,
  MESSAGE_BYTES,
  nextInputs,
  type PoolResult,
  stopOf,
} from './jobs.ts';
import type { HandlerSource } from './messages.ts';
import { Turns } from './turns.ts';

export type { HandlerSource, PoolResult };

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
/** Threads without work for some time end, because a handler can hold much memory: the time is this many times the duration of the loads. */
const IDLE_LOADS = 30;
/** A new thread with the bundled model takes a third of a second, and its memory is worth as much as that of an API at rest. */
const IDLE_LEAST_MS = 30_000;
const IDLE_MOST_MS = 60_000;

interface Slot {
  thread: HandlerThread | undefined;
  /** The duration of the loads of the thread. */
  loadMs: number;
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
    this.#slots = Array.from({ length: threads }, () => ({
      thread: undefined,
      loadMs: 0,
      tenant: undefined,
      busy: false,
    }));
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
    const waiting = this.#bytesOf.get(tenant) ?? 0;
    if (this.#closed) return Promise.reject(stopping());
    if (waiting > 0 && (waiting + bytes > TENANT_BYTES || this.#bytes + bytes > WAITING_BYTES))
      return Promise.reject(
        new ApiError('queue_full', 'Too many inputs wait for the handlers of models. Send the request again later.', {
          retryAfterS: 1,
        }),
      );
    this.#bytes += bytes;
    this.#bytesOf.set(tenant, waiting + bytes);
    const { promise, resolve, reject } = Promise.withResolvers<PoolResult[]>();
    const job: Job = {
      ...{ source, tenant, inputs, sizes, bytes, resolve, reject },
      ...{ results: [], chunk: INPUTS_FIRST, cpuMs: 0, isAlone: false },
    };
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
      void this.#work(slot, this.#jobsOf(next.item)).finally(() => {
        slot.busy = false;
        this.#endStale(slot);
        this.#start();
        this.#endIdle();
      });
    }
  }

  /** The job, with the jobs of its tenant that share a message with the job: a message costs more than a short input. */
  #jobsOf(job: Job): [Job, ...Job[]] {
    let [inputs, bytes] = [leftOf(job), job.bytes];
    if (inputs === 0 || job.isAlone) return [job];
    const joined = this.#turns.joining(job.tenant, (other) => {
      inputs += leftOf(other);
      bytes += other.bytes;
      const isRun = leftOf(other) > 0 && !other.isAlone && other.source.key === job.source.key;
      return isRun && inputs <= INPUTS_FIRST && bytes <= MESSAGE_BYTES;
    });
    return [job, ...joined];
  }

  /** One turn of jobs of one tenant and one handler. Never rejects. */
  async #work(slot: Slot, jobs: readonly [Job, ...Job[]]): Promise<void> {
    const [{ source, inputs }] = jobs;
    try {
      const thread = this.#threadOf(slot);
      const startedAt = performance.now();
      await thread.load(source).catch((error: unknown) => {
        // Node keeps a failed import for the life of the thread.
        thread.isStale = true;
        throw error;
      });
      slot.loadMs += performance.now() - startedAt;
      if (inputs.length > 0) await this.#turn(thread, jobs);
    } catch (error) {
      for (const job of jobs) {
        this.#finish(job);
        if (this.#closed) job.reject(stopping());
        else job.reject(error instanceof ThreadEndedError ? new Error(`its thread ended: ${error.message}`) : error);
      }
      return;
    }
    this.#settle(jobs);
  }

  /** The thread of the slot, or a new thread. */
  #threadOf(slot: Slot): HandlerThread {
    if (slot.thread?.ended === false) return slot.thread;
    slot.thread = new HandlerThread({ limitMs: this.#limitMs, memoryMb: this.#memoryMb });
    slot.loadMs = 0;
    return slot.thread;
  }

  /** Resolves the jobs with all results. The other jobs wait for their next turn. */
  #settle(jobs: readonly Job[]): void {
    for (const job of jobs.toReversed()) {
      if (leftOf(job) === 0 || this.#closed) continue;
      // A long job goes behind the other jobs of its tenant.
      if (job.results.length > 0) this.#turns.add(job.tenant, job);
      else this.#turns.putBack(job.tenant, job);
    }
    for (const job of jobs) {
      if (leftOf(job) > 0 && !this.#closed) continue;
      this.#finish(job);
      if (leftOf(job) === 0) job.resolve(job.results);
      else job.reject(stopping());
    }
  }

  async #turn(thread: HandlerThread, jobs: readonly [Job, ...Job[]]): Promise<void> {
    const [job] = jobs;
    const parts =
      jobs.length === 1 ? [nextInputs(job)] : jobs.map(({ inputs, results }) => inputs.slice(results.length));
    const end = await thread.run(job.source.key, parts.flat());
    const ms = end.results.reduce((sum, result) => sum + result.ms, 0);
    let from = 0;
    for (const [at, one] of jobs.entries()) {
      const count = parts[at]?.length ?? 0;
      const results = end.results.slice(from, from + count);
      const own = results.reduce((sum, result) => sum + result.ms, 0);
      const cpuMs = ms === 0 ? 0 : end.cpuMs * (own / ms);
      this.#ended(one, count, { results, cpuMs, ...stopOf(end, { from, count, isShared: jobs.length > 1 }) });
      if (end.stopped !== undefined) one.isAlone = true;
      from += count;
    }
  }

  /** Notes the results of the next `count` inputs of a job. */
  #ended(job: Job, count: number, { results, cpuMs, stopped }: RunEnd): void {
    job.cpuMs += cpuMs;
    for (const result of results) job.results.push(result);
    job.chunk = results.length < count ? Math.max(1, results.length) : Math.min(INPUTS_MAX, 2 * job.chunk);
    if (stopped !== undefined) this.#stopped(job, stopped);
    else if (job.cpuMs > LIMITS_PER_REQUEST * this.#limitMs && leftOf(job) > 0)
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

  /** Ends all threads when none has had work for a time: see idleMsOf. */
  #endIdle(): void {
    if (this.#closed || this.#slots.some(({ busy }) => busy)) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      for (const slot of this.#slots) {
        if (slot.busy || slot.thread === undefined) continue;
        void slot.thread.end();
        slot.thread = undefined;
      }
    }, idleMsOf(this.#slots)).unref();
  }
}

/** How long threads without work are kept: longer where a load took longer. */
export function idleMsOf(slots: readonly { loadMs: number }[]): number {
  const loadMs = Math.max(...slots.map((slot) => slot.loadMs));
  return Math.min(Math.max(IDLE_LEAST_MS, IDLE_LOADS * loadMs), IDLE_MOST_MS);
}

const stopping = (): ApiError => new ApiError('shutting_down', 'The server is stopping.', { retryAfterS: 1 });
