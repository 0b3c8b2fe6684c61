/** The data of the overview beside the charts: whether the parts of the server respond, workers, endpoints and models. */
import { ApiProblem, apiUrl, get } from '../../core/api.ts';
import type { Endpoint, Worker } from '../../core/operator-types.ts';
import { type ChartRange, loadSteps, type Steps } from '../../core/stats.ts';
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

/** Models whose history is read. */
export const MODELS_MAX = 20;

export interface ModelSteps {
  model: Model;
  steps: Steps;
}

export interface ModelsData {
  models: ModelSteps[];
  more: boolean;
}

export async function loadModels(range: ChartRange, signal: AbortSignal): Promise<ModelsData> {
  const list = await get<List<Model>>('/v1/models', { limit: MODELS_MAX }, signal);
  const models = await Promise.all(
    list.data.map(async (model) => {
      const request = { spanMs: range.spanMs, stepS: range.smallStepS, model: model.name };
      return { model, steps: await loadSteps(request, signal) };
    }),
  );
  return { models, more: list.has_more };
}
