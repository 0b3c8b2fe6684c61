/** The role `recorder`: records terminal states in the ledger, restores lost promises, and creates and drops partitions. */

import { findEnds, openPromises, readTasks, recordTerminal } from '@millrace/shared/ledger/ledger';
import type { TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import type { Recorded } from '@millrace/shared/ledger/record-terminal';
import type { Db } from '@millrace/shared/postgres/db';
import { dropOldPartitions, ensurePartitions } from '@millrace/shared/postgres/partitions';
import { SHARDS } from '@millrace/shared/predictions/ids';
import { outputReaderName } from '@millrace/shared/queue/output-readers';
import { createQueues } from '@millrace/shared/queue/queues';
import { queueNames } from '@millrace/shared/registry/registry';
import { createWebhookTimers } from '@millrace/shared/webhooks/timers';
import type { WorkerContext } from '../operations/worker-context.ts';
import { startFileSweep } from './file-sweep.ts';
import { watchLag } from './lag-watch.ts';
import { startMakingRoom } from './make-room.ts';
import { startReconciler } from './reconciler.ts';
import { recordTraced } from './record-spans.ts';
import { startRecorder } from './recorder.ts';
import { startStats } from './stats.ts';

const PARTITIONS_EVERY_MS = 3_600_000;
const PARTITIONS_AHEAD_DAYS = 7;
/** A pass of a recorder normally takes at most 10 s for its statement, and the time of a few reads. */
const STALLED_MS = 120_000;

export async function startRecorderRole(base: WorkerContext): Promise<void> {
  const { config, log, keys, id, redis, db, live, slots, metrics, closers, connect, clock } = base;
  const isClockRight = () => clock.fault() === undefined;
  await keepPartitions(base);
  await startFileSweep(base);
  const timersRedis = connect('producer', 'webhook-timers');
  closers.push('webhook timers redis', () => timersRedis.disconnect());
  const timers = createWebhookTimers({ connection: timersRedis, keyPrefix: config.keyPrefix });
  closers.push('webhook timers', () => timers.close());
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  // One read covers all streams. In a cluster each stream needs its own reader, because the streams are on different nodes.
  const groups = config.redisCluster ? shards.map((shard) => [shard]) : [shards];
  const room = startMakingRoom(base);
  const stats = startStats(base);
  for (const group of groups) {
    const recorder = startRecorder({
      reader: connect('blocking', 'recorder'),
      redis,
      keys,
      live,
      slots,
      shards: group,
      consumer: outputReaderName(id),
      liveTtlMs: config.liveTtlMs,
      room,
      record: recordOf(base),
      findEnds: (ids) => findEnds(db, ids),
      postgresResponds: () => responds(db),
      onDeliveries: (deliveries) => timers.scheduleDeliveries(deliveries),
      onRecorded: (rows) => metrics.recorded(rows),
      onEnded: (ends) => stats.ended(ends),
      isClockRight,
      onOmitted: () => metrics.recordedWithoutOutput(),
      log,
    });
    closers.push('recorder', () => recorder.close());
    base.health.liveness(async () => {
      // The check fails without a result while a store is away, because a restart would repair nothing.
      await redis.ping();
      await db.query('SELECT 1');
      const ms = recorder.stalledMs();
      return ms > STALLED_MS ? `the recorder has made no turn for ${Math.round(ms / 1_000)} s` : 'ok';
    });
  }
  watchLag(base, shards);
  const queues = createQueues(redis, keys, () => {});
  closers.push('reconciler queues', () => queues.close());
  const reconciler = startReconciler({
    redis,
    keys,
    live,
    queues,
    workerId: id,
    intervalMs: config.reconcileMs,
    liveTtlMs: config.liveTtlMs,
    openPromises: (options) => openPromises(db, options),
    isClockRight,
    readTasks: (ids) => readTasks(db, ids),
    expire: (row, error, nowMs) => stats.end(row, { status: 'expired', result: error, completedAt: nowMs }),
    fail: (row, error, nowMs) => stats.end(row, { status: 'failed', result: error, completedAt: nowMs }),
    models: () => queueNames(db),
    onOutcome: (outcome) => metrics.reconciled(outcome),
    onPass: () => metrics.reconciledAll(),
    onUnreadable: (count) => metrics.unreadable(count),
    log,
  });
  closers.push('reconciler', () => reconciler.close());
}

/** Creates the partitions of the next days now and every hour, and drops the days past retention. */
async function keepPartitions({ config, db, log, closers, clock }: WorkerContext): Promise<void> {
  await ensurePartitions(db, PARTITIONS_AHEAD_DAYS);
  const keep = async () => {
    await ensurePartitions(db, PARTITIONS_AHEAD_DAYS);
    if (clock.fault() === undefined) await dropOldPartitions(db, config.retentionDays);
  };
  const timer = setInterval(
    () => void keep().catch((error) => log.warn({ err: error }, 'partitions cannot be created or dropped')),
    PARTITIONS_EVERY_MS,
  );
  closers.push('partitions', () => clearInterval(timer));
}

/** Writes rows to the ledger, with spans where traces are switched on. */
function recordOf({ config, db, metrics, tracing }: WorkerContext): (rows: TerminalRow[]) => Promise<Recorded> {
  const { publicUrl } = config;
  const record = (rows: TerminalRow[]) =>
    metrics.stores.timed('postgres', 'record', recordTerminal(db, rows, { publicUrl }));
  return tracing === undefined ? record : (rows) => recordTraced(tracing, rows, () => record(rows));
}

async function responds(db: Db): Promise<boolean> {
  try {
    await db.query('SELECT 1');
    return true;
  } catch {
    return false;
  }
}
