/**
 * Starts Millrace for tests: the API in this process, workers as separate processes, the run's Redis, and a separate
 * database and key prefix. Every response is compared with the OpenAPI document.
 */
import path from 'node:path';
import { type Config, loadConfig } from '@millrace/shared/process/config';
import { connectRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, beforeAll, vi } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { checkResponse } from './openapi-check.ts';
import { rawId } from './raw-id.ts';
import { createTestDatabase } from './test-database.ts';
import { testPrefix } from './test-prefix.ts';
import { redisEnv } from './test-redis.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export const ROOT_MODELS = path.resolve(import.meta.dirname, '../../models');

export interface MillraceOptions {
  modelsDir?: string;
  /** Models that the first worker serves. startMillrace waits until they are ready. */
  models: readonly string[];
  env?: Readonly<Record<string, string>>;
}

// biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
type Loose = any;

export interface ApiResponse<T = Loose> {
  status: number;
  headers: Headers;
  body: T;
  text: string;
}

export interface ApiRequest {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. A string is sent unchanged. */
  body?: unknown;
  signal?: AbortSignal;
}

export interface Millrace {
  readonly api: RunningApi;
  readonly url: string;
  readonly config: Config;
  readonly env: Readonly<Record<string, string>>;
  readonly keys: ReturnType<typeof keysFor>;
  /** The running workers. */
  readonly workers: readonly WorkerProcess[];
  startWorker(env?: Readonly<Record<string, string>>): Promise<WorkerProcess>;
  /** Kills or stops all workers. */
  stopWorkers(how: 'kill' | 'stop'): Promise<void>;
  /** Sends one request and compares the response with the OpenAPI document. */
  request<T = Loose>(path: string, request?: ApiRequest): Promise<ApiResponse<T>>;
  /** Deletes a prediction's live state from Redis, as the retention of Redis does. `id` is the id of the API. */
  forget(id: string): Promise<void>;
  /** Sends a POST to a model's predictions. */
  predict<T = Loose>(model: string, body: unknown, headers?: Record<string, string>): Promise<ApiResponse<T>>;
  close(): Promise<void>;
}

export async function startMillrace(options: MillraceOptions): Promise<Millrace> {
  const database = await createTestDatabase();
  const env: Record<string, string> = {
    ...redisEnv(),
    DATABASE_URL: database.url,
    KEY_PREFIX: testPrefix(),
    MODELS_DIR: options.modelsDir ?? ROOT_MODELS,
    WORKER_MODELS: options.models.join(),
    PORT: '0',
    ENGINES: '1',
    HEARTBEAT_MS: '500',
    SCAN_MS: '500',
    RECONCILE_MS: '500',
    STORE_TIMEOUT_MS: '5000',
    SHUTDOWN_MS: '5000',
    ...options.env,
  };
  const config = loadConfig(env);
  const workers: WorkerProcess[] = [];
  const startWorker = async (more: Readonly<Record<string, string>> = {}) => {
    const worker = await startWorkerProcess({ ...env, ...more });
    workers.push(worker);
    return worker;
  };
  const [api] = await Promise.all([startApi(config, pino({ level: 'silent' })), startWorker()]);
  const request = async <T>(where: string, options: ApiRequest = {}): Promise<ApiResponse<T>> => {
    const { body, headers = {}, signal } = options;
    const method = options.method ?? (body === undefined ? 'GET' : 'POST');
    const response = await fetch(api.url + where, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      redirect: 'manual',
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    const parsed = type.includes('json') && text !== '' ? JSON.parse(text) : text;
    await checkResponse(api.app, {
      method,
      path: where,
      status: response.status,
      headers: response.headers,
      body: parsed,
    });
    return { status: response.status, headers: response.headers, body: parsed as T, text };
  };
  const millrace: Millrace = {
    api,
    url: api.url,
    config,
    env,
    keys: keysFor(config.keyPrefix),
    workers,
    startWorker,
    async stopWorkers(how) {
      await Promise.all(workers.splice(0).map((worker) => worker[how]()));
    },
    request,
    predict: (model, body, headers = {}) => request(`/v1/models/${model}/predictions`, { body, headers }),
    async forget(id) {
      const redis = connectRedis(config.redisUrl, 'blocking', { cluster: config.redisCluster });
      await redis.del(millrace.keys.live(rawId(id)));
      redis.disconnect();
    },
    async close() {
      await millrace.stopWorkers('stop');
      await api.close(5_000);
      await database.drop();
    },
  };
  await modelsReady(millrace, options.models);
  return millrace;
}

async function modelsReady({ request }: Millrace, models: readonly string[]): Promise<void> {
  const state = async (model: string) => {
    const { body } = await request(`/v1/models/${model}`);
    if (body.default_version) return `${model}: ${body.default_version}`;
    const versions = await request(`/v1/models/${model}/versions`);
    return `${model}: ${versions.body.data?.[0]?.reason ?? body.code ?? 'not ready'}`;
  };
  await vi.waitFor(
    async () => {
      const states = await Promise.all(models.map(state));
      if (!states.every((text) => /: \d+$/.test(text))) throw new Error(`not ready: ${states.join(', ')}`);
    },
    { timeout: 60_000, interval: 50 },
  );
}

/** Starts a Millrace for the tests of a file or of the surrounding `describe`. */
export function useMillrace(options: MillraceOptions | (() => Promise<MillraceOptions>)): Millrace {
  let running: Millrace | undefined;
  beforeAll(async () => {
    running = await startMillrace(typeof options === 'function' ? await options() : options);
  });
  afterAll(() => running?.close());
  return new Proxy({} as Millrace, {
    get: (_, name: keyof Millrace) => {
      if (!running) throw new Error('Millrace is available from beforeAll on.');
      return running[name];
    },
  });
}
