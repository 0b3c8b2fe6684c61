/**
 * Decides which webhook attempt starts next. Each lane starts with four attempts in progress. A success adds one attempt, up to
 * `perLane`, and a failure halves the number. All lanes share `total` slots.
 *
 * Lanes that do not respond must not hold every slot, so there are three pools of `total` slots. An attempt starts in the pool
 * of its lane. An attempt that takes longer than `slowMs`, and then longer than `stuckMs`, releases its slot and takes a slot
 * of the next pool. The lane then waits among similar lanes until an attempt succeeds.
 *
 *     wake ─► claim ─► buffer ─► slot ─► perform ─► next delivery of this lane, or of a lane that waited
 */
import { LaneHealth, POOL_NAMES, type PoolName } from './lane-health.ts';
import { afterAttempt, type LaneLimits, type LaneState, type RestBounds, restMs } from './lane-state.ts';
import { SlotPools } from './slot-pools.ts';

export interface SchedulerOptions<D> {
  /** Claims at most `limit` due deliveries of the lane for this process. */
  claim(lane: string, limit: number): Promise<D[]>;
  /** Makes and records one attempt. Resolves to whether the attempt succeeded. Never rejects. */
  perform(delivery: D): Promise<boolean>;
  /** Whether the claim still covers an attempt. A delivery whose claim has ended is left to other workers. */
  held(delivery: D): boolean;
  perLane: number;
  total: number;
  slowMs: number;
  stuckMs: number;
  /** The group of the delivery's lane, if the lane has a group (see LaneHealth). */
  groupOf?(delivery: D): string | undefined;
  /** How long a lane that keeps failing rests after each attempt, so that the lane does not take the CPU from other lanes. */
  restMs: RestBounds;
  /** The largest number of deliveries in one claim. */
  claimMost: number;
  onError(lane: string, error: unknown): void;
}

interface Lane<D> {
  name: string;
  /** Undefined until the first claim returns a delivery. */
  group: string | undefined;
  running: number;
  state: LaneState;
  buffer: D[];
  /** Postgres may have due deliveries that are not in the buffer. */
  more: boolean;
  claiming: boolean;
  waiting: boolean;
}

const LEAST_PER_LANE = 4;

export class LaneScheduler<D> {
  readonly #options: SchedulerOptions<D>;
  readonly #limits: LaneLimits;
  readonly #lanes = new Map<string, Lane<D>>();
  readonly #health = new LaneHealth();
  readonly #slots: SlotPools<Lane<D>>;
  #attempts = 0;
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(options: SchedulerOptions<D>) {
    this.#options = options;
    this.#limits = { least: Math.min(LEAST_PER_LANE, options.perLane), most: options.perLane };
    this.#slots = new SlotPools(options.total);
  }

  /** Attempts in progress. */
  get underWay(): number {
    return this.#attempts;
  }

  /** Claims the due deliveries of the lane. Finds every delivery that was committed before the call. */
  wake(name: string): void {
    if (this.#closed) return;
    let lane = this.#lanes.get(name);
    if (!lane) {
      lane = {
        name,
        group: undefined,
        running: 0,
        state: { allowed: this.#limits.least, failures: 0 },
        buffer: [],
        more: true,
        claiming: false,
        waiting: false,
      };
      this.#lanes.set(name, lane);
    }
    lane.more = true;
    this.#advance(lane);
  }

  /** Removes and returns the claimed deliveries of a lane whose attempts have not started. */
  discard(name: string): D[] {
    return this.#lanes.get(name)?.buffer.splice(0) ?? [];
  }

  /** Starts no more attempts. Removes and returns the claimed deliveries whose attempts have not started. */
  stop(): D[] {
    this.#closed = true;
    return [...this.#lanes.values()].flatMap((lane) => lane.buffer.splice(0));
  }

  /** Resolves when no attempt and no claim is in progress. */
  async idle(): Promise<void> {
    while ([...this.#lanes.values()].some((lane) => lane.running > 0 || lane.claiming)) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
  }

  /** Starts attempts of a lane while slots are free. `served`: the lane was removed from the queue of its pool for this call. */
  #advance(lane: Lane<D>, served = false): void {
    while (!this.#closed && lane.running < lane.state.allowed) {
      if (lane.buffer.length === 0 && (lane.claiming || !lane.more)) break;
      const pool = this.#health.poolOf(lane);
      if (this.#slots.isFull(pool) || (!served && this.#slots.hasQueue(pool))) {
        if (!lane.waiting) this.#slots.enqueue(pool, lane);
        lane.waiting = true;
        return;
      }
      const delivery = lane.buffer.shift();
      if (delivery === undefined) {
        void this.#claim(lane, pool);
        break;
      }
      if (!this.#options.held(delivery)) continue;
      // Claims before the buffer is empty, so that a fast lane does not wait for Postgres.
      if (pool === 'prompt' && lane.more && !lane.claiming && lane.buffer.length < this.#options.claimMost / 4) {
        void this.#claim(lane, pool);
      }
      void this.#perform(lane, pool, delivery);
      // A lane from the queue starts one attempt. The next slot belongs to the next lane of the queue.
      served = false;
    }
    if (lane.running === 0 && lane.buffer.length === 0 && !lane.claiming && !lane.waiting && !lane.more) {
      this.#lanes.delete(lane.name);
    }
  }

  async #claim(lane: Lane<D>, pool: PoolName): Promise<void> {
    const { claim, claimMost, groupOf, onError } = this.#options;
    // A stuck lane claims only as many deliveries as can start: the others would be held and renewed for the whole delay.
    const limit = pool !== 'stuck' ? claimMost : Math.max(1, Math.min(lane.state.allowed - lane.running, claimMost));
    lane.claiming = true;
    lane.more = false;
    // The claim holds a slot: claimed deliveries that then wait for a slot would lose too much of their claim time.
    this.#slots.take(pool);
    try {
      const claimed = await claim(lane.name, limit);
      lane.buffer.push(...claimed);
      if (claimed[0] !== undefined) lane.group = groupOf?.(claimed[0]);
      if (claimed.length === limit) lane.more = true;
    } catch (error) {
      // The next sweep wakes the lane again.
      onError(lane.name, error);
    } finally {
      lane.claiming = false;
      this.#slots.release(pool);
      this.#advance(lane, this.#health.poolOf(lane) === pool);
      this.#serveQueue(pool);
      this.#onIdle?.();
    }
  }

  async #perform(lane: Lane<D>, startPool: PoolName, delivery: D): Promise<void> {
    const { slowMs, stuckMs } = this.#options;
    let pool = startPool;
    lane.running++;
    this.#attempts++;
    this.#slots.take(pool);
    const demote = (to: PoolName) => {
      this.#health.report(lane, to);
      if (POOL_NAMES.indexOf(pool) >= POOL_NAMES.indexOf(to)) return;
      const left = pool;
      this.#slots.move(left, to);
      pool = to;
      this.#serveQueue(left);
    };
    const timers = [setTimeout(demote, slowMs, 'suspect'), setTimeout(demote, stuckMs, 'stuck')];
    const startedAt = performance.now();
    const succeeded = await this.#options.perform(delivery);
    for (const timer of timers) clearTimeout(timer);
    const tookMs = performance.now() - startedAt;
    this.#health.report(lane, tookMs > stuckMs ? 'stuck' : succeeded && tookMs <= slowMs ? 'prompt' : 'suspect');
    lane.state = afterAttempt(lane.state, succeeded, this.#limits);
    this.#attempts--;
    this.#slots.release(pool);
    this.#serveQueue(pool);
    if (startPool !== 'prompt' && !succeeded && !this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, restMs(lane.state, tookMs, this.#options.restMs)));
    }
    lane.running--;
    this.#advance(lane);
    this.#onIdle?.();
  }

  /** Starts attempts of the lanes that wait for a slot of this pool. */
  #serveQueue(pool: PoolName): void {
    for (let lane = this.#slots.dequeue(pool); lane; lane = this.#slots.dequeue(pool)) {
      lane.waiting = false;
      // The health of the lane may have changed meanwhile. The lane then waits in the queue of its new pool.
      this.#advance(lane, this.#health.poolOf(lane) === pool);
    }
  }
}
