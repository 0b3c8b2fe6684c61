/**
 * Restores lost promises: open rows of the ledger that Redis has lost, or that have a live state without a job. One worker of the
 * cluster reconciles at a time. A pass reads a bounded number of rows and continues after the previous pass. When Redis has lost
 * all data, or unreadable live states were discarded, a pass reads the whole ledger.
 */
import { oldestEndMs } from '@millrace/shared/live/ledger-stream';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS } from '@millrace/shared/predictions/ids';
import { isWrongType } from '@millrace/shared/redis/wrong-type';
import type { ReconcilerDeps } from './reconciler-deps.ts';
import { PromiseRestorer } from './restore-promises.ts';
import { CountSettlement } from './settle-counts.ts';
import { writeTexts } from './write-texts.ts';

/** Younger promises may still be on their way to Redis. */
const YOUNGEST_MS = 1_500;
const PAGE = 1_000;
/** Pages of a normal pass. */
const PAGES = 2;

export interface Reconciler {
  /** Runs one pass now. Resolves to the number of restored promises. */
  pass(): Promise<number>;
  close(): Promise<void>;
}

export function startReconciler(deps: ReconcilerDeps): Reconciler {
  const passes = new ReconcilerPasses(deps);
  let running: Promise<number> | undefined;

  async function pass(): Promise<number> {
    running ??= passes
      .run()
      .catch((error) => {
        deps.log.warn({ err: error }, 'the ledger cannot be reconciled');
        return 0;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  void pass();
  const timer = setInterval(() => void pass(), deps.intervalMs);
  return {
    pass,
    async close() {
      passes.stop();
      clearInterval(timer);
      await running;
      await passes.unlock();
    },
  };
}

class ReconcilerPasses {
  readonly #deps: ReconcilerDeps;
  readonly #lock: string;
  readonly #lockMs: number;
  /** A key for each shard. A missing key shows that Redis has lost the shard. */
  readonly #sentinels: readonly string[];
  readonly #restorer: PromiseRestorer;
  readonly #settlement: CountSettlement;
  /** The last row of the previous pass. */
  #after: string | undefined;
  /** Live states were discarded, and no pass has read the whole ledger since. */
  #damaged = false;
  #closed = false;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#lock = deps.keys.reconciler();
    this.#lockMs = deps.intervalMs * 3 + 5_000;
    this.#sentinels = Array.from({ length: SHARDS }, (_, shard) => deps.keys.sentinel(shard));
    this.#restorer = new PromiseRestorer(deps);
    this.#settlement = new CountSettlement(deps);
  }

  async run(): Promise<number> {
    const { redis, log } = this.#deps;
    await writeTexts(this.#deps, () => this.#closed).catch((error) => {
      log.warn({ err: error }, 'large inputs cannot be written to Redis for a process of an earlier version');
    });
    if (!this.#deps.isClockRight() || !(await this.#takeLock())) return 0;
    const kept = await Promise.all(this.#sentinels.map((key) => redis.exists(key)));
    await this.#countDiscarded();
    await this.#settlement.check();
    const lostAll = kept.includes(0) || this.#damaged;
    if (lostAll) this.#after = undefined;
    if (await recorderLags(this.#deps)) {
      log.warn(
        'the recorder is far behind: nothing is restored, because ends that Redis has dropped may be unrecorded',
      );
      return 0;
    }
    const restored = await this.#readPages(lostAll);
    if (lostAll && this.#mayContinue()) await Promise.all(this.#sentinels.map((key) => redis.set(key, sharedNow())));
    if (restored > 0) log.warn({ restored, lostAll }, 'lost promises were restored');
    this.#deps.onPass?.();
    return restored;
  }

  /** Ends a pass after the page in progress. */
  stop(): void {
    this.#closed = true;
  }

  async unlock(): Promise<void> {
    const { redis, workerId } = this.#deps;
    const holder = await redis.get(this.#lock).catch(() => null);
    if (holder === workerId) await redis.del(this.#lock).catch(() => {});
  }

  async #readPages(lostAll: boolean): Promise<number> {
    let restored = 0;
    for (let page = 0; this.#mayContinue() && (lostAll || page < PAGES); page += 1) {
      const after = this.#after === undefined ? {} : { after: this.#after };
      const rows = await this.#deps.openPromises({ olderThanMs: YOUNGEST_MS, limit: PAGE, ...after });
      restored += await this.#restorer.reconcile(rows);
      this.#after = rows.length === PAGE ? rows.at(-1)?.id : undefined;
      if (this.#after === undefined) {
        this.#damaged = false;
        break;
      }
      if (lostAll) await this.#deps.redis.pexpire(this.#lock, this.#lockMs);
    }
    return restored;
  }

  #mayContinue(): boolean {
    return !this.#closed && this.#deps.isClockRight();
  }

  async #countDiscarded(): Promise<void> {
    const { live, log, onUnreadable } = this.#deps;
    const shards = await Promise.all(this.#sentinels.map((_, shard) => live.takeDiscarded(shard)));
    const discarded = shards.reduce((sum, count) => sum + count, 0);
    if (discarded === 0) return;
    this.#damaged = true;
    this.#settlement.begin();
    onUnreadable(discarded);
    log.warn(
      { discarded },
      'live states without a readable input were discarded, as after an upgrade from a version before 0.1.0, or while Postgres did not respond: their promises are restored from the ledger',
    );
  }

  /** Takes or renews the lock. Returns whether this worker holds the lock. */
  async #takeLock(): Promise<boolean> {
    const { redis, workerId } = this.#deps;
    const holder = await redis.set(this.#lock, workerId, 'PX', this.#lockMs, 'NX', 'GET').catch(async (error) => {
      if (!isWrongType(error)) throw error;
      await redis.del(this.#lock);
      return '';
    });
    if (holder === null) return true;
    if (holder !== workerId) return false;
    await redis.pexpire(this.#lock, this.#lockMs);
    return true;
  }
}

/** An end must be recorded this long before Redis drops the live state. With less time nothing is restored. */
const SPARE_MS = 5_000;

/**
 * Whether an end may exist only in the recorder's stream, neither as a live state nor in the ledger. Such an end exists only after Postgres
 * was unreachable for as long as Redis keeps an end. Must be checked before the ledger is read, so that the result is still valid
 * for the rows that were read.
 */
async function recorderLags({ redis, keys, liveTtlMs }: ReconcilerDeps): Promise<boolean> {
  return (await oldestEndMs(redis, keys)) > liveTtlMs - SPARE_MS;
}
