/** The data of the overview beside the charts: whether the parts of the server respond, workers, endpoints and models. */
import { ApiProblem, apiUrl, get } from '../../core/api.ts';
import type { Endpoint, ModelStats, Worker } from '../../core/operator-types.ts';
import { type ChartRange, serverNow } from '../../core/stats.ts';
import type { List, Model, Version } from '../../core/types.ts';

export interface Health {
  /** The faults of the parts by their names; undefined where the server did not respond. */
  faults: Readonly<Record<string, string>> | undefined;
}

export interface SystemData {
  health: Health;
  /** Undefined for a tenant that must not see the workers. */
  workers: Worker[] | undefined;
  endpoints: Endpoint[];
  failed: FailedVersion[];
}

export interface FailedVersion {
  model: Model;
  version: Version;
}

/** Models whose failed versions are read. */
const FAILED_MAX = 4;

export async function loadSystem(signal: AbortSignal): Promise<SystemData> {
  const [health, workers, endpoints, failed] = await Promise.all([
    loadHealth(signal),
    loadWorkers(signal),
    optional(
      get<List<Endpoint>>('/v1/webhook-endpoints', { limit: 100 }, signal).then(({ data }) => data),
      [],
    ),
    optional(loadFailed(signal), []),
  ]);
  return { health, workers, endpoints, failed };
}

/** A part whose store does not respond is left out: the health of the server names the store. */
async function optional<T>(call: Promise<T>, without: T): Promise<T> {
  return call.catch((error: unknown) => {
    if (error instanceof ApiProblem && error.status !== 401) return without;
    throw error;
  });
}

async function loadHealth(signal: AbortSignal): Promise<Health> {
  try {
    const response = await fetch(apiUrl('/readyz'), { signal });
    const body: { parts?: Record<string, string> } = await response.json();
    return { faults: Object.fromEntries(Object.entries(body.parts ?? {}).filter(([, state]) => state !== 'ok')) };
  } catch (error) {
    if (signal.aborted) throw error;
    return { faults: undefined };
  }
}

async function loadWorkers(signal: AbortSignal): Promise<Worker[] | undefined> {
  return optional<Worker[] | undefined>(
    get<List<Worker>>('/v1/workers', { limit: 100 }, signal).then(({ data }) => data),
    undefined,
  );
}

async function loadFailed(signal: AbortSignal): Promise<FailedVersion[]> {
  const { data } = await get<List<Model>>('/v1/models', { status: 'failed', limit: FAILED_MAX }, signal);
  const found = await Promise.all(
    data.map(async (model) => {
      const path = `/v1/models/${encodeURIComponent(model.name)}/versions`;
      const { data: versions } = await get<List<Version>>(path, { limit: 20 }, signal);
      const version = versions.find(({ status }) => status === 'failed');
      return version === undefined ? [] : [{ model, version }];
    }),
  );
  return found.flat();
}

/** Rows of the table: the models with the most requests, and then models without requests. */
const MODELS_MAX = 20;

export interface ModelRow {
  stats: ModelStats;
  /** Undefined for a model that was removed. */
  model: Model | undefined;
}

export interface ModelsData {
  rows: ModelRow[];
  /** Whether there are more models than rows. */
  more: boolean;
}

export async function loadModels(range: ChartRange, signal: AbortSignal): Promise<ModelsData> {
  const from = new Date(serverNow() - range.spanMs).toISOString();
  const query = { from, step: range.smallStepS, limit: MODELS_MAX };
  const [busy, first] = await Promise.all([
    get<List<ModelStats>>('/v1/stats/models', query, signal),
    get<List<Model>>('/v1/models', { limit: MODELS_MAX }, signal),
  ]);
  const known = new Map(first.data.map((model) => [model.name, model]));
  const unknown = busy.data.filter(({ model }) => !known.has(model)).map(({ model }) => model);
  if (unknown.length > 0) {
    const list = await get<List<Model>>('/v1/models', { name: unknown.join(), limit: unknown.length }, signal);
    for (const model of list.data) known.set(model.name, model);
  }
  // Only operators see the queues. A model that the history does not name has an empty queue.
  const waiting = busy.data.some(({ values }) => values.waiting !== null) ? 0 : null;
  const active = new Set(busy.data.map(({ model }) => model));
  const idle = first.data.filter(({ name }) => !active.has(name)).slice(0, MODELS_MAX - busy.data.length);
  return {
    rows: [
      ...busy.data.map((stats) => ({ stats, model: known.get(stats.model) })),
      ...idle.map((model) => ({ stats: noRequests(model.name, waiting), model })),
    ],
    more: busy.has_more || first.has_more,
  };
}

const noRequests = (model: string, waiting: number | null): ModelStats => ({
  model,
  values: {
    ...{ accepted: 0, succeeded: 0, failed: 0, canceled: 0, expired: 0, hits: 0, misses: 0, refused: 0, rate: 0 },
    ...{ waiting, oldest_waiting_s: null, wait_p50_ms: null, wait_p95_ms: null, run_p50_ms: null },
    ...{ run_p95_ms: null, total_p50_ms: null, total_p95_ms: null, hit_share: null, error_share: null },
  },
  start_at: new Date(0).toISOString(),
  step_s: 60,
  requests: [],
});
