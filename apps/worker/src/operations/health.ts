/** The HTTP server of a worker: liveness, readiness and metrics, nothing else. */
import type { AddressInfo } from 'node:net';
import type { Pool } from '@millrace/shared/postgres/db';
import { checkWritable } from '@millrace/shared/postgres/read-only';
import type { Config } from '@millrace/shared/process/config';
import { http } from '@millrace/shared/process/node-http';
import { verdictOf } from '@millrace/shared/process/readiness';
import { OPEN_METRICS, PROMETHEUS, wantsOpenMetrics, writeMetrics } from './exposition.ts';
import type { WorkerMetrics } from './metrics.ts';

const CHECK_TIMEOUT_MS = 900;
/** The most impairments in one response. */
const DEGRADED_MAX = 20;

/** `ok`, or a sentence that names the fault. */
type CheckResult = 'ok' | string;

export interface WorkerHealth {
  url: string;
  /** Adds a part that must be healthy for the worker to be ready. */
  check(name: string, run: () => CheckResult | Promise<CheckResult>): void;
  /** Adds a part that /healthz reports without a failed status: the fault is outside this process, and a restart would not help. */
  note(name: string, run: () => CheckResult): void;
  /** Sets the list of impairments, a sentence each. An impaired worker stays ready. */
  degraded(list: () => readonly string[]): void;
  /** Adds a check that decides whether the worker needs a restart. */
  liveness(run: () => Promise<CheckResult>): void;
  /** Marks the start of the worker as complete: all roles run. */
  started(): void;
  close(): Promise<void>;
}

export async function startHealth(
  config: Config,
  metrics: WorkerMetrics,
  { redis, db }: { redis: { prove(): Promise<void> }; db: Pick<Pool, 'connect'> },
): Promise<WorkerHealth> {
  const checks = new Map<string, () => CheckResult | Promise<CheckResult>>([
    ['redis', () => redis.prove().then(() => 'ok')],
    ['postgres', () => checkWritable(db).then(() => 'ok')],
  ]);
  // Without the cache, results are computed and not stored. Engines compute without Postgres, and the ends wait in Redis.
  const optional = new Set(config.workerRoles.includes('inference') ? ['cache', 'postgres'] : ['cache']);
  const notes = new Map<string, () => CheckResult>();
  const lives: (() => Promise<CheckResult>)[] = [];
  let impaired: () => readonly string[] = () => [];
  let up = false;

  async function ready(): Promise<Record<string, CheckResult>> {
    const parts = await Promise.all([...checks].map(async ([name, run]) => [name, await bounded(run)] as const));
    return { ...Object.fromEntries(parts), ...(up ? {} : { start: 'not all roles run yet' }) };
  }

  const server = http.createServer((request, response) => {
    const send = (code: number, body: string, type = 'application/json') =>
      response.writeHead(code, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body);
    const path = pathOf(request.url);
    const respond = async () => {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD');
        send(405, '{"status":"this server takes GET and HEAD"}');
      } else if (path === '/healthz') {
        // When the check itself fails (Redis is unreachable), a restart would repair nothing and would lose the work in progress.
        const states = await Promise.all(lives.map((live) => bounded(() => live().catch(() => 'ok'), 'ok')));
        const state = states.find((one) => one !== 'ok') ?? 'ok';
        const notices = [...notes].map(([name, run]) => [name, run()] as const).filter(([, note]) => note !== 'ok');
        send(state === 'ok' ? 200 : 503, JSON.stringify({ status: state, ...Object.fromEntries(notices) }));
      } else if (path === '/readyz') {
        const parts = await ready();
        const degraded = impaired().slice(0, DEGRADED_MAX);
        const serves = (isFaulty: (part: string) => boolean) =>
          !Object.keys(parts).some((part) => isFaulty(part) && !optional.has(part));
        const { code, status } = verdictOf({ parts, impaired: degraded, serves });
        send(code, JSON.stringify({ status, parts, ...(degraded.length > 0 ? { degraded } : {}) }));
      } else if (path === '/metrics') {
        const open = wantsOpenMetrics(request.headers.accept);
        send(200, await writeMetrics(metrics.registry, open), open ? OPEN_METRICS : PROMETHEUS);
      } else send(404, '{"status":"there are /healthz, /readyz and /metrics"}');
    };
    respond().catch(() => send(500, '{"status":"failed"}'));
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
    check: (name, run) => void checks.set(name, run),
    note: (name, run) => void notes.set(name, run),
    degraded: (list) => {
      impaired = list;
    },
    liveness: (run) => void lives.push(run),
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

/** Bounds a check in time: a part without a reply counts as unhealthy, and the caller does not wait for the part. */
async function bounded(
  run: () => CheckResult | Promise<CheckResult>,
  otherwise: CheckResult = `no reply within ${CHECK_TIMEOUT_MS} ms`,
): Promise<CheckResult> {
  const { promise: late, resolve } = Promise.withResolvers<CheckResult>();
  const timer = setTimeout(() => resolve(otherwise), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([Promise.resolve(run()), late]);
  } catch (error) {
    return (error as Error).message;
  } finally {
    clearTimeout(timer);
  }
}
