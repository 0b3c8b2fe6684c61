/** Starts a worker with its configured roles. Opens the shared connections, and closes them in reverse order. */
import { randomBytes } from 'node:crypto';
import { LiveStore } from '@millrace/shared/live/store';
import { sharedNow, startClock } from '@millrace/shared/postgres/clock';
import { createPool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { createClosers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { RELEASE } from '@millrace/shared/process/release';
import { SlotReader } from '@millrace/shared/queue/slot-reader';
import { checkQueueRedis, connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { claimQueueFormat, watchQueueFormat } from '@millrace/shared/redis/format';
import { type Keys, keysFor } from '@millrace/shared/redis/keys';
import { openRedisStore, redisServerOf } from '@millrace/shared/redis/redis-store';
import { traceIdOf } from '@millrace/shared/tracing/trace-context';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import type { Logger } from 'pino';
import { LedgerOutputs } from './inference/ledger-outputs.ts';
import { startInferenceRole } from './inference/role.ts';
import { startHealth } from './operations/health.ts';
import { createWorkerMetrics, type WorkerMetrics } from './operations/metrics.ts';
import type { EndedPrediction } from './operations/prediction-metrics.ts';
import { Presence } from './operations/presence.ts';
import type { WorkerContext } from './operations/worker-context.ts';
import { startRecorderRole } from './recorder/role.ts';
import { EndpointLog } from './webhooks/endpoint-log.ts';
import { startWebhooks, type Webhooks } from './webhooks/role.ts';
import { startWebhookGauges } from './webhooks/webhook-gauges.ts';
import { createWebhookMetrics } from './webhooks/webhook-metrics.ts';

const START_TIMEOUT_MS = 10_000;

export interface RunningWorker {
  id: string;
  healthUrl: string;
  close(deadlineMs: number): Promise<string[]>;
  /** See main-process.ts. */
  mustStop: Promise<string>;
}

/** Resolves when all roles run. When a role cannot start, closes everything that is open and rejects with the reason. */
export async function startWorker(config: Config, log: Logger, tracing?: Tracing): Promise<RunningWorker> {
  const closers = createClosers((name, error) => log.warn({ err: error, part: name }, 'could not be closed'));
  // The id is short, because the live state of each running prediction contains the id.
  const id = randomBytes(8).toString('hex');
  log.setBindings({ worker: id });
  try {
    const metrics = createWorkerMetrics(logFailed(log));
    addBuildInfo(metrics, { version: RELEASE, process: 'worker', id, roles: config.workerRoles.join() });
    // The traces close last, so that the spans of the other parts are sent.
    if (tracing) closers.push('traces', () => tracing.close());
    const opened = { config, log, metrics, closers };
    const { queueRedis, connect, redis, largeRedis, keys, mustStop } = await openQueueRedis(opened);
    const { db, clock } = await openPostgres(opened);
    const health = await startHealth(config, metrics, { redis: queueRedis.probe, db });
    health.check('clock', () => clock.fault() ?? 'ok');
    closers.push('health', () => health.close());
    const presence = new Presence({ redis, keys, id, roles: config.workerRoles, log });
    closers.push('presence', () => presence.close());
    const outputs = new LedgerOutputs({ redis, keys, db, log, onPlaced: metrics.longOutput });
    const slots = createSlotReader(config, keys, log);
    closers.push('slots', () => slots.close());
    const base: WorkerContext = {
      config,
      log,
      keys,
      id,
      redis,
      db,
      live: new LiveStore(redis, keys, {
        terminalTtlMs: config.liveTtlMs,
        large: largeRedis,
        toLedger: (item) => outputs.write(item),
      }),
      slots,
      clock,
      metrics,
      presence,
      tracing,
      health,
      closers,
      connect,
    };
    if (config.workerRoles.includes('recorder')) await startRecorderRole(base);
    if (config.workerRoles.includes('webhooks')) startWebhooksRole(base);
    if (config.workerRoles.includes('inference')) await startInferenceRole(base);
    health.started();
    void presence.report();
    const close = (deadlineMs: number) => {
      presence.drain();
      return closers.close(deadlineMs);
    };
    return { id, healthUrl: health.url, mustStop, close };
  } catch (error) {
    await closers.close(5_000);
    throw error;
  }
}

type OpenParams = Pick<WorkerContext, 'config' | 'log' | 'metrics' | 'closers'>;

async function openQueueRedis({ config, log, metrics, closers }: OpenParams) {
  const queueRedis = openRedisStore({
    config,
    metrics: metrics.stores,
    setting: 'REDIS_URL',
    process: 'millrace-worker',
    log,
    consequence: 'The queue Redis takes no writes: work waits.',
  });
  closers.push('queue probe', () => queueRedis.close());
  const connect = (kind: 'producer' | 'blocking', name: string) =>
    queueRedis.connect(kind, {
      name: `millrace-worker-${name}`,
      onError: (error) => log.debug({ err: error, connection: name }, 'Redis connection error'),
    });
  const redis = connect('blocking', 'main');
  closers.push('redis', () => redis.disconnect());
  await waitForRedis(redis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
  const largeRedis = connect('blocking', 'large');
  closers.push('redis for large texts', () => largeRedis.disconnect());
  await checkQueueRedis(redis, queueRedis.user);
  const keys = keysFor(config.keyPrefix);
  await claimQueueFormat(redis, keys);
  const { promise: mustStop, resolve: onNewer } = Promise.withResolvers<string>();
  const format = watchQueueFormat({ redis, keys, onNewer });
  closers.push('format watch', () => format.close());
  metrics.gauge('millrace_queue_redis_writable', 'Whether the queue Redis took the last write: 1 or 0.', () =>
    Number(queueRedis.probe.proven),
  );
  return { queueRedis, connect, redis, largeRedis, keys, mustStop };
}

/** Opens no connection before the first row: most workers never read a slot of the cache Redis. */
function createSlotReader(config: Config, keys: Keys, log: Logger): SlotReader {
  const server = redisServerOf(config, 'CACHE_REDIS_URL');
  return new SlotReader({
    keys,
    async open() {
      const name = 'millrace-worker-slots';
      const redis = connectRedis(server.url, 'producer', { ...server, name, timeoutMs: config.storeTimeoutMs });
      await waitForRedis(redis, 'The cache Redis (CACHE_REDIS_URL)', config.storeTimeoutMs).catch(() => {});
      return redis;
    },
    onError: (error) => log.warn({ err: error }, 'a large input cannot be read from the cache Redis'),
  });
}

async function openPostgres({ config, log, metrics, closers }: OpenParams) {
  const db = createPool({
    databaseUrl: config.databaseUrl,
    max: 8,
    statementTimeoutMs: 10_000,
    applicationName: 'millrace-worker',
    onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
  });
  closers.push('postgres', () => db.end());
  await checkPostgres(db, config.databaseUrl);
  const clock = await startClock({
    db,
    maxSkewMs: config.maxClockSkewMs,
    log,
    onRead(ms, error) {
      metrics.stores.took('postgres', 'probe', ms);
      if (error !== undefined) metrics.stores.failed('postgres', 'probe', error);
    },
  });
  closers.push('clock', () => clock.close());
  metrics.gauge('millrace_clock_skew_seconds', 'The clock of this process minus the clock of Postgres.', () =>
    clock.skewS(),
  );
  return { db, clock };
}

function addBuildInfo(metrics: WorkerMetrics, labels: Record<string, string>): void {
  metrics.gaugeBy(
    {
      name: 'millrace_build_info',
      help: 'The version of Millrace and the id of the worker in log lines, with the value 1.',
      labels: Object.keys(labels),
    },
    () => [{ labels, value: 1 }],
  );
}

/** A line for each failed prediction. The log limits the lines of a storm. The result of a prediction may contain values of its input. */
const logFailed =
  (log: Logger) =>
  ({ id, model, version, tenant, status, attempts, options }: EndedPrediction, code: string): void => {
    const about = { id, model, version, tenant, code, trace_id: traceIdOf(options) };
    if (status === 'failed') log.warn({ ...about, attempts }, 'prediction failed');
    else log.warn(about, 'prediction expired');
  };

function startWebhooksRole({ config, log, db, metrics, tracing, closers, connect, clock }: WorkerContext): void {
  const webhooks: Webhooks = startWebhooks({
    config,
    db,
    redis: (kind) => connect(kind, 'webhooks'),
    log,
    tracing,
    isClockRight: () => clock.fault() === undefined,
    onAttempt(record) {
      counted.attempt(record);
      endpoints.attempt(record);
    },
  });
  const endpoints = new EndpointLog(log);
  const stopGauges = startWebhookGauges({
    db,
    registry: metrics.registry,
    now: sharedNow,
    onError: (error) => log.debug({ err: error }, 'the state of the webhooks cannot be read'),
  });
  closers.push('webhook gauges', stopGauges);
  const counted = createWebhookMetrics(metrics.registry, () => webhooks.underWay());
  closers.push('webhooks', () => webhooks.close());
}
