/** The statistics extension: counts the inferences of this API process over /v2, by tenant, model and version. */

interface Duration {
  count: number;
  ns: number;
}

interface Counts {
  inferences: number;
  executions: number;
  lastMs: number;
  success: Duration;
  fail: Duration;
  queue: Duration;
  compute: Duration;
  hit: Duration;
  miss: Duration;
}

export interface Inferred {
  tenant: string;
  model: string;
  version: string;
  /** The number of rows in the request. */
  rows: number;
  ok: boolean;
  hit: boolean;
  totalMs: number;
  /** From the request to the start of the run. Negative where the request shares a computation that had already started. */
  queueMs: number;
  computeMs: number;
  atMs: number;
}

const keyOf = (...names: [tenant: string, model: string, version: string]): string => names.join('\n');
const none = (): Duration => ({ count: 0, ns: 0 });
const add = (duration: Duration, ms: number): void => {
  duration.count += 1;
  duration.ns += Math.round(ms * 1e6);
};

export class Statistics {
  readonly #counts = new Map<string, Counts>();

  record({ tenant, model, version, rows, ok, hit, totalMs, queueMs, computeMs, atMs }: Inferred): void {
    const key = keyOf(tenant, model, version);
    let counts = this.#counts.get(key);
    if (!counts) {
      counts = {
        inferences: 0,
        executions: 0,
        lastMs: 0,
        success: none(),
        fail: none(),
        queue: none(),
        compute: none(),
        hit: none(),
        miss: none(),
      };
      this.#counts.set(key, counts);
    }
    counts.lastMs = atMs;
    add(ok ? counts.success : counts.fail, totalMs);
    if (!ok) return;
    counts.inferences += rows;
    if (hit) add(counts.hit, totalMs);
    else {
      counts.executions += 1;
      add(counts.miss, totalMs);
      add(counts.queue, Math.max(0, queueMs));
      add(counts.compute, computeMs);
    }
  }

  /** The statistics of one tenant in Triton's form. `compute_infer` includes encoding and decoding. */
  of(tenant: string, model: string, version: string) {
    const counts = this.#counts.get(keyOf(tenant, model, version));
    return {
      name: model,
      version,
      last_inference: counts?.lastMs ?? 0,
      inference_count: counts?.inferences ?? 0,
      execution_count: counts?.executions ?? 0,
      inference_stats: {
        success: counts?.success ?? none(),
        fail: counts?.fail ?? none(),
        queue: counts?.queue ?? none(),
        compute_input: none(),
        compute_infer: counts?.compute ?? none(),
        compute_output: none(),
        cache_hit: counts?.hit ?? none(),
        cache_miss: counts?.miss ?? none(),
      },
      batch_stats: [],
    };
  }
}
