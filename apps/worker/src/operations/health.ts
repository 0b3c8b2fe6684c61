/** The worker's own small HTTP server: alive, ready, metrics. It serves nothing else. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Pool } from '@millrace/shared/postgres/db';
import { checkWritable } from '@millrace/shared/postgres/read-only';
import type { Config } from '@millrace/shared/process/config';
import { verdictOf } from '@millrace/shared/process/readiness';
import type { WorkerMetrics } from './metrics.ts';

const CHECK_TIMEOUT_MS = 900;
/** Sentences of impairment in one answer. */
const DEGRADED_MAX = 20;

type Answer = 'ok' | string;

export interface WorkerHealth {
  url: string;
  /** A part that must be well for the worker to be ready. */
  check(name: string, ask: () => Answer | Promise<Answer>): void;
  /** A part that /healthz reports without asking for a restart: the fault lies outside this process. */
  note(name: string, ask: () => Answer): void;
  /** What impairs the worker and leaves it ready, a sentence each. */
  degraded(list: () => readonly string[]): void;
  /** Whether the worker should be restarted. */
  liveness(ask: () => Promise<Answer>): void;
  /** All roles run: from now on it may be ready. */
  started(): void;
  close(): Promise<void>;
}

export async function startHealth(
  config: Config,
  metrics: WorkerMetrics,
  { redis, db }: { redis: { prove(): Promise<void> }; db: Pick<Pool, 'connect'> },
): Promise<WorkerHealth> {
  const checks = new Map<string, () => Answer | Promise<Answer>>([
    ['redis', () => redis.prove().then(() => 'ok')],
    ['postgres', () => checkWritable(db).then(() => 'ok')],
  ]);
  const notes = new Map<string, () => Answer>();
  let live: () => Promise<Answer> = async () => 'ok';
  let impaired: () => readonly string[] = () => [];
  let up = false;

  async function ready(): Promise<Record<string, Answer>> {
    const parts = await Promise.all([...checks].map(async ([name, ask]) => [name, await bounded(ask)] as const));
    return { ...Object.fromEntries(parts), ...(up ? {} : { start: 'not all roles run yet' }) };
  }

  const server = createServer((request, response) => {
    const send = (code: number, body: string, type = 'application/json') =>
      response.writeHead(code, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body);
    const path = pathOf(request.url);
    const answer = async () => {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD');
        send(405, '{"status":"this server takes GET and HEAD"}');
      } else if (path === '/healthz') {
        // Where it cannot be told (Redis is away), a restart would mend nothing, and lose what is under way.
        const state = await bounded(() => live().catch(() => 'ok'), 'ok');
        const told = [...notes].map(([name, ask]) => [name, ask()] as const).filter(([, note]) => note !== 'ok');
        send(state === 'ok' ? 200 : 503, JSON.stringify({ status: state, ...Object.fromEntries(told) }));
      } else if (path === '/readyz') {
        const parts = await ready();
        const degraded = impaired().slice(0, DEGRADED_MAX);
        const { code, status } = verdictOf(parts, degraded);
        send(code, JSON.stringify({ status, parts, ...(degraded.length > 0 ? { degraded } : {}) }));
      } else if (path === '/metrics') {
        send(200, await metrics.registry.metrics(), metrics.registry.contentType);
      } else send(404, '{"status":"there are /healthz, /readyz and /metrics"}');
    };
    answer().catch(() => send(500, '{"status":"failed"}'));
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.workerPort, config.workerHost, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${config.workerHost.includes(':') ? `[${config.workerHost}]` : config.workerHost}:${port}`,
    check: (name, ask) => void checks.set(name, ask),
    note: (name, ask) => void notes.set(name, ask),
    degraded: (list) => {
      impaired = list;
    },
    liveness: (ask) => {
      live = ask;
    },
    started: () => {
      up = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The path of a request target, which may be an absolute URL and may have a query; '' for a target that is no URL. */
const pathOf = (target = ''): string =>
  URL.canParse(target, 'http://worker') ? new URL(target, 'http://worker').pathname : '';

/** A part that does not answer in time is not well: the asker is not to wait with it. */
async function bounded(
  ask: () => Answer | Promise<Answer>,
  otherwise: Answer = `no answer within ${CHECK_TIMEOUT_MS} ms`,
): Promise<Answer> {
  const { promise: late, resolve } = Promise.withResolvers<Answer>();
  const timer = setTimeout(() => resolve(otherwise), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([Promise.resolve(ask()), late]);
  } catch (error) {
    return (error as Error).message;
  } finally {
    clearTimeout(timer);
  }
}
