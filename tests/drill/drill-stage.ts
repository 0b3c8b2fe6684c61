/**
 * The system of a drill: an API that requires keys, two inference workers with an engine each, and a worker with the roles recorder
 * and webhooks; three tenants with an endpoint each, and a Prometheus with the alerts of deploy/prometheus.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '@millrace/shared/postgres/db';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import type { Program } from '../chaos/processes.ts';
import type { Servers } from '../chaos/servers.ts';
import { openStage, type Stage } from '../chaos/stage.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { LogWatch } from './log-watch.ts';
import type { ScaledRules } from './scaled-rules.ts';
import { type Send, startTraffic, TENANTS, type Tenant, type Traffic } from './traffic.ts';

export interface DrillStage {
  stage: Stage;
  servers: Servers;
  api: Program;
  /** The two inference workers. */
  workers: [Program, Program];
  recorder: Program;
  /** The instance of a process in Prometheus. */
  instance(program: Program): string;
  send: Send;
  traffic: Traffic;
  /** The id of each tenant's endpoint. */
  endpoints: Readonly<Record<Tenant, string>>;
  receiver: Receiver;
  prometheus: Prometheus;
  log: LogWatch;
  /** Fetches a JSON document of a process without a key. */
  get(program: Program, path: string): Promise<{ status: number; body: Record<string, unknown> }>;
  /** The base URL and the key of a tenant, for other calls of the API. */
  as(tenant: Tenant): { url: string; headers: Record<string, string> };
  /** Starts a further process, and scrapes it after its first second. */
  addWorker(env: Readonly<Record<string, string>>): Promise<Program>;
  /** Scrapes the running processes only. */
  rescrape(): Promise<void>;
  close(): Promise<void>;
}

const MODELS = ['quick', 'slow', 'heavy', 'acting'];
const WARM_MS = 6_000;

/** The environment of the second inference worker: its clock can be shifted. */
export async function openDrillStage(
  servers: Servers,
  { rules, secondWorker = {} }: { rules: ScaledRules; secondWorker?: Readonly<Record<string, string>> },
): Promise<DrillStage> {
  const env = {
    API_KEYS_REQUIRED: 'true',
    WORKER_ROLES: 'inference',
    LOG_LEVEL: 'info',
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
  };
  const pids = new Set<number>();
  const stage = await openStage(servers, { env, workers: 1, models: [] });
  const undo: (() => Promise<unknown>)[] = [() => stage.close()];
  const close = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const second = await stage.startWorker(secondWorker);
    const recorder = await stage.startWorker({ WORKER_ROLES: 'recorder,webhooks' });
    const workers = [stage.workers[0], second] as [Program, Program];
    const api = stage.apis[0] as Program;
    for (const { pid } of [...workers, recorder, api]) pids.add(pid);
    const keys = await keysOf(stage.databaseUrl);
    const as = (tenant: Tenant) => ({ url: api.url, headers: { authorization: `Bearer ${keys[tenant]}` } });
    await untilServed(as('north'));
    const receiver = await startReceiver();
    undo.push(() => receiver.close());
    const endpoints = await registerEndpoints(as, receiver);
    const send = sender(as);
    const traffic = startTraffic(send);
    undo.push(() => traffic.stop());
    await delay(WARM_MS);
    // The first scrape of a process includes its start, which blocks its event loop.
    const flush = (url: string) => fetch(`${url}/metrics`).then((response) => response.text());
    const targets = () => ({
      'millrace-api': stage.apis.map(({ url }) => url),
      'millrace-worker': stage.workers.map(({ url }) => url),
    });
    await Promise.all(Object.values(targets()).flat().map(flush));
    const prometheus = await startPrometheus(targets(), rules.file);
    undo.push(() => prometheus.close());
    const rescrape = () => prometheus.scrape(targets());
    return {
      stage,
      servers,
      api,
      workers,
      recorder,
      instance: ({ url }) => new URL(url).host,
      send,
      traffic,
      endpoints,
      receiver,
      prometheus,
      log: new LogWatch(servers.dir, () => pids),
      async get({ url }, path) {
        const response = await fetch(url + path, { signal: AbortSignal.timeout(5_000) });
        return { status: response.status, body: (await response.json()) as Record<string, unknown> };
      },
      as,
      async addWorker(more) {
        const worker = await stage.startWorker(more);
        pids.add(worker.pid);
        await flush(worker.url);
        await rescrape();
        return worker;
      },
      rescrape,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function keysOf(databaseUrl: string): Promise<Record<Tenant, string>> {
  const db = createPool({
    databaseUrl,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'millrace-drill',
    onError: () => {},
  });
  try {
    const keys: Partial<Record<Tenant, string>> = {};
    for (const tenant of TENANTS)
      keys[tenant] = (await createApiKey(db, { tenant, name: 'drill', expiresAt: null })).key;
    return keys as Record<Tenant, string>;
  } finally {
    await db.end();
  }
}

type As = DrillStage['as'];

async function registerEndpoints(as: As, receiver: Receiver): Promise<Record<Tenant, string>> {
  const ids: Partial<Record<Tenant, string>> = {};
  for (const tenant of TENANTS) {
    const { url, headers } = as(tenant);
    const response = await fetch(`${url}/v1/webhook-endpoints`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ url: `${receiver.url}/200/${tenant}` }),
    });
    const body = (await response.json()) as { id?: string };
    if (body.id === undefined) throw new Error(`the endpoint was refused: ${JSON.stringify(body)}`);
    ids[tenant] = body.id;
  }
  return ids as Record<Tenant, string>;
}

const sender =
  (as: As): Send =>
  async ({ model, input }, { tenant = 'north', wait = true, body = {}, signal } = {}) => {
    const { url, headers } = as(tenant);
    try {
      const response = await fetch(`${url}/v1/models/${model}/predictions`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', ...(wait ? { prefer: 'wait=10' } : {}) },
        body: JSON.stringify({ input, ...body }),
        ...(signal ? { signal } : {}),
      });
      const { id = '', code = '' } = (await response.json()) as Partial<Record<'id' | 'code', string>>;
      return { status: response.status, id, code };
    } catch (error) {
      return { status: 0, id: '', code: (error as Error).name };
    }
  };

async function untilServed({ url, headers }: ReturnType<As>): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (const model of MODELS) {
    for (;;) {
      const response = await fetch(`${url}/v1/models/${model}`, { headers });
      const body = (await response.json()) as { default_version?: string | null };
      if (body.default_version) break;
      if (performance.now() > deadline) throw new Error(`'${model}' was not served: ${JSON.stringify(body)}`);
      await delay(50);
    }
  }
}
