/**
 * Who is attempted next. Each lane has at most `perLane` attempts under way, at first four: one more with each that goes
 * well, half as many with each that does not. All together have `total`. So that lanes that do not answer cannot hold
 * all of those, there are three pools of `total` slots: an attempt begins in the pool in which its lane stands, and one
 * that takes longer than `slowMs`, and then `stuckMs`, gives its slot back and takes one of the next pool. Its lane
 * then waits among its like until an attempt goes well.
 *
 *     wake ─► claim ─► buffer ─► slot ─► perform ─► next of this lane, or of one that waited
 */
import { LaneHealth, POOLS, type Pool } from './lane-health.ts';

export interface SchedulerOptions<D> {
  /** Deliveries of the lane that are due, at most `limit`, held for this process for a while. */
  claim(lane: string, limit: number): Promise<D[]>;
  /** One attempt with all that follows; whether it went well. Never rejects. */
  perform(delivery: D): Promise<boolean>;
  /** Whether the claim still covers an attempt; what is no longer ours is left to whoever claims it next. */
  held(delivery: D): boolean;
  perLane: number;
  total: number;
  slowMs: number;
  stuckMs: number;
  /** The group of a delivery's lane, if it is in one (see Standings). */
  groupOf?(delivery: D): string | undefined;
  /**
   * A lane that goes on failing rests after each attempt, so that it does not take the CPU from others: four times as
   * long as the attempt took, since that grows as the CPU becomes scarce, and twice as long after each four failures in
   * a row, within these bounds.
   */
  restMs: { least: number; most: number };
  /** Most deliveries in one claim. */
  claimMost: number;
  onError(lane: string, error: unknown): void;
}

interface Lane<D> {
  name: string;
  /** Known once something of it was claimed. */
  group: string | undefined;
  running: number;
  /** Attempts that may be under way. */
  allowed: number;
  /** In a row. */
  failures: number;
  buffer: D[];
  /** There may be something due in Postgres that is not in the buffer. */
  more: boolean;
  claiming: boolean;
  waiting: boolean;
}

const LEAST_PER_LANE = 4;

export class LaneScheduler<D> {
  readonly #options: SchedulerOptions<D>;
  readonly #least: number;
  readonly #lanes = new Map<string, Lane<D>>();
  readonly #laneHealth = new LaneHealth();
  readonly #used: Record<Pool, number> = { prompt: 0, suspect: 0, stuck: 0 };
  readonly #waiting: Record<Pool, Lane<D>[]> = { prompt: [], suspect: [], stuck: [] };
  #attempts = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(options: SchedulerOptions<D>) {
    this.#options = options;
    this.#least = Math.min(LEAST_PER_LANE, options.perLane);
  }

  /** Attempts under way. */
  get underWay(): number {
    return this.#attempts;
  }

  /** Looks for what is due in the lane. Whatever was committed before the call is found. */
  wake(name: string): void {
    if (this.#closed) return;
    let lane = this.#lanes.get(name);
    if (!lane) {
      const idle = {
        running: 0,
        allowed: this.#least,
        failures: 0,
        buffer: [],
        more: true,
        claiming: false,
        waiting: false,
      };
      lane = { name, group: undefined, ...idle };
      this.#lanes.set(name, lane);
    }
    lane.more = true;
    this.#advance(lane);
  }

  /** Gives back what was claimed in a lane and not begun. */
  discard(name: string): D[] {
    return this.#lanes.get(name)?.buffer.splice(0) ?? [];
  }

  /** Starts nothing more; gives back what was claimed and not begun. */
  stop(): D[] {
    this.#closed = true;
    return [...this.#lanes.values()].flatMap((lane) => lane.buffer.splice(0));
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while ([...this.#lanes.values()].some((lane) => lane.running > 0 || lane.claiming)) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
  }

  #advance(lane: Lane<D>, served = false): void {
    while (!this.#closed && lane.running < lane.allowed) {
      if (lane.buffer.length === 0 && (lane.claiming || !lane.more)) break;
      const pool = this.#laneHealth.of(lane);
      const mustWait = this.#used[pool] >= this.#options.total || (!served && this.#waiting[pool].length > 0);
      if (mustWait) {
        if (!lane.waiting) this.#waiting[pool].push(lane);
        lane.waiting = true;
        return;
      }
      const delivery = lane.buffer.shift();
      if (delivery === undefined) {
        void this.#claim(lane, pool);
        break;
      }
      if (!this.#options.held(delivery)) continue;
      // Before the buffer is empty: a lane that is quick need not wait for Postgres.
      if (pool === 'prompt' && lane.more && !lane.claiming && lane.buffer.length < this.#options.claimMost / 4) {
        void this.#claim(lane, pool);
      }
      void this.#perform(lane, pool, delivery);
      // One for a lane that waited, and then it is the turn of the next that waits.
      served = false;
    }
    if (lane.running === 0 && lane.buffer.length === 0 && !lane.claiming && !lane.waiting && !lane.more) {
      this.#lanes.delete(lane.name);
    }
  }

  async #claim(lane: Lane<D>, pool: Pool): Promise<void> {
    const { claim, claimMost, groupOf, onError } = this.#options;
    // Of a lane that hangs no more than can begin: the rest would be held, and renewed, for as long as it takes.
    const limit = pool !== 'stuck' ? claimMost : Math.max(1, Math.min(lane.allowed - lane.running, claimMost));
    lane.claiming = true;
    lane.more = false;
    // With a slot in hand: what was claimed and then waits for one would not be held long enough.
    this.#used[pool]++;
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
      this.#used[pool]--;
      this.#advance(lane, this.#laneHealth.of(lane) === pool);
      this.#serve(pool);
      this.#idle?.();
    }
  }

  async #perform(lane: Lane<D>, began: Pool, delivery: D): Promise<void> {
    let pool = began;
    lane.running++;
    this.#attempts++;
    this.#used[pool]++;
    const { slowMs, stuckMs } = this.#options;
    const sink = (to: Pool) => {
      this.#laneHealth.tell(lane, to);
      if (POOLS.indexOf(pool) >= POOLS.indexOf(to)) return;
      const left = pool;
      this.#used[left]--;
      this.#used[to]++;
      pool = to;
      this.#serve(left);
    };
    const timers = [setTimeout(sink, slowMs, 'suspect'), setTimeout(sink, stuckMs, 'stuck')];
    const startedAt = performance.now();
    const well = await this.#options.perform(delivery);
    for (const timer of timers) clearTimeout(timer);
    const tookMs = performance.now() - startedAt;
    this.#laneHealth.tell(lane, tookMs > stuckMs ? 'stuck' : well && tookMs <= slowMs ? 'prompt' : 'suspect');
    lane.failures = well ? 0 : lane.failures + 1;
    lane.allowed = well
      ? Math.min(lane.allowed + 1, this.#options.perLane)
      : Math.max(Math.floor(lane.allowed / 2), this.#least);
    this.#attempts--;
    this.#used[pool]--;
    this.#serve(pool);
    if (began !== 'prompt' && !well && !this.#closed) {
      const { least, most } = this.#options.restMs;
      const restMs = Math.min(Math.max(4 * tookMs, least * 2 ** Math.floor(lane.failures / 4)), most);
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
    lane.running--;
    this.#advance(lane);
    this.#idle?.();
  }

  #serve(pool: Pool): void {
    while (this.#used[pool] < this.#options.total) {
      const lane = this.#waiting[pool].shift();
      if (!lane) return;
      lane.waiting = false;
      // It may stand elsewhere by now, and then waits there as the others do.
      this.#advance(lane, this.#laneHealth.of(lane) === pool);
    }
  }
}
