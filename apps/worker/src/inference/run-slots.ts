/**
 * The slots of the runs of a worker: a slot for each engine, and a further slot for a run that is prepared meanwhile.
 *
 * - Runs of lower priority take no slot from runs of higher priority, so that an urgent prediction only waits for the current run of an
 *   engine.
 * - A run that takes longer than LONG_MS (a prediction with very many rows) takes no slot from other versions.
 * - A run that has left its engine and still stores large results takes no slot from other versions.
 * - A version whose calls of an engine take longer than PREPARED_MS prepares no run. The pause of the engine is short beside the
 *   call. A prediction of another version would wait for two such calls.
 */

const LONG_MS = 1_000;
const PREPARED_MS = 50;

/** A version that requests a slot. */
export interface SlotRequest {
  /** Model version. */
  key: string;
  /** BullMQ's number. A lower number is more urgent. */
  priority: number;
  /** The most engines that run the version at once. Undefined: all. */
  instances: number | undefined;
  /** Duration of the last call of an engine with this version, in ms; 0 before the first call. */
  callMs: number;
}

/** A run that has a slot. */
export interface Run {
  key: string;
  priority: number;
  /** Monotonic clock, in ms. */
  startedAt: number;
  /** Whether the run has left its engine. */
  isStoring: boolean;
}

export class RunSlots {
  readonly #count: () => number;
  readonly #runs = new Set<Run>();

  /** `count` returns the number of slots. */
  constructor(count: () => number) {
    this.#count = count;
  }

  /** Number of runs. */
  get taken(): number {
    return this.#runs.size;
  }

  begin(key: string, priority: number, nowMs: number): Run {
    const run = { key, priority, startedAt: nowMs, isStoring: false };
    this.#runs.add(run);
    return run;
  }

  end(run: Run): void {
    this.#runs.delete(run);
  }

  /** Whether a run with this request can begin. */
  isFree(request: SlotRequest, nowMs: number): boolean {
    const slots = this.#count();
    const { instances = slots - 1, callMs } = request;
    if (request.instances !== undefined && this.#ownOf(request) > instances) return false;
    if (callMs > PREPARED_MS && this.#inEngines(request) >= Math.max(1, instances)) return false;
    return this.#runs.size < slots || this.#takenFor(request, nowMs - LONG_MS) < slots;
  }

  /** The runs that leave no slot to this request. Runs that began before `longMs` are long. */
  #takenFor({ key, priority }: SlotRequest, longMs: number): number {
    let taken = 0;
    for (const run of this.#runs)
      if (run.priority <= priority && (run.key === key || (run.startedAt > longMs && !run.isStoring))) taken += 1;
    return taken;
  }

  /** One run more than the engines of the version is prepared, as for all engines. */
  #ownOf({ key }: SlotRequest): number {
    let own = 0;
    for (const run of this.#runs) if (run.key === key) own += 1;
    return own;
  }

  #inEngines({ key, priority }: SlotRequest): number {
    let own = 0;
    for (const run of this.#runs) if (run.key === key && run.priority <= priority && !run.isStoring) own += 1;
    return own;
  }
}
