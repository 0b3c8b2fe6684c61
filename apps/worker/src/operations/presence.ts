/** Reports this worker in the list of workers on the queue Redis: see queue/worker-list.ts of the shared code. */
import { hostname } from 'node:os';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { RELEASE } from '@millrace/shared/process/release';
import { REPORT_EVERY_MS, removeWorker, reportWorker, type WorkerReport } from '@millrace/shared/queue/worker-list';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';

/** Every so many reports remove the workers that are gone. */
const CLEAN_EVERY = 60;

/** The part of a report that the role `inference` knows. */
export interface InferenceReport
  extends Pick<WorkerReport, 'models' | 'engines' | 'providers' | 'held' | 'rows_per_s'> {
  /** Resident bytes of all engines. */
  engineBytes: number;
}

const NO_INFERENCE: InferenceReport = {
  models: [],
  engines: [],
  providers: [],
  held: 0,
  rows_per_s: 0,
  engineBytes: 0,
};

export interface PresenceDeps {
  redis: Connection;
  keys: Keys;
  id: string;
  roles: readonly string[];
  log: Logger;
}

export class Presence {
  readonly #deps: PresenceDeps;
  readonly #startedAt = sharedNow();
  readonly #timer: NodeJS.Timeout;
  #inference: () => Promise<InferenceReport> = async () => NO_INFERENCE;
  #draining = false;
  #reports = 0;
  #reporting: Promise<void> | undefined;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.report(), REPORT_EVERY_MS).unref();
  }

  /** Sets the source of the part of the role `inference`. */
  describe(inference: () => Promise<InferenceReport>): void {
    this.#inference = inference;
  }

  /** Reports now. A failure is not repeated, because the next report follows soon. */
  report(): Promise<void> {
    this.#reporting ??= this.#report()
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'the worker cannot be reported'))
      .finally(() => {
        this.#reporting = undefined;
      });
    return this.#reporting;
  }

  /** The worker stops: it takes no further work. */
  drain(): void {
    this.#draining = true;
    void this.report();
  }

  /** Removes the worker from the list. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reporting;
    const { redis, keys, id } = this.#deps;
    await removeWorker(redis, keys, id);
  }

  async #report(): Promise<void> {
    const { redis, keys, id, roles } = this.#deps;
    const { engineBytes, ...inference } = await this.#inference();
    const report: WorkerReport = {
      draining: this.#draining,
      roles,
      ...inference,
      memory_bytes: process.memoryUsage.rss() + engineBytes,
      release: RELEASE,
      host: hostname(),
      started_at: this.#startedAt,
    };
    const clean = this.#reports % CLEAN_EVERY === 0;
    this.#reports += 1;
    await reportWorker(redis, keys, { id, report, clean });
  }
}
