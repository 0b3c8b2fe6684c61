/**
 * The role `webhooks`. Timers and sweeps wake lanes. The scheduler attempts the due deliveries of a lane. Each result goes to
 * Postgres and sets the timer of the next attempt.
 *
 *     recorder ─ timer ─┐
 *                       ├─► lane ─► claim ─► attempt ─► record ─► timer, if there is a next attempt
 *     sweep ────────────┘
 */

import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import type { Config } from '@millrace/shared/process/config';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import type { Resolve } from '@millrace/shared/webhooks/target';
import { targetRules } from '@millrace/shared/webhooks/target-rules';
import { createWebhookTimers, type WebhookTimers } from '@millrace/shared/webhooks/timers';
import { type AttemptDeps, attemptDelivery } from './attempt.ts';
import { DeliveryClaims } from './delivery-claims.ts';
import type { ClaimedDelivery } from './due-deliveries.ts';
import { LaneScheduler } from './lane-scheduler.ts';
import { startLaneTimers } from './lane-timers.ts';
import { type OverdueSweep, startOverdueSweep } from './overdue-sweep.ts';
import type { AttemptRecord } from './record-outcome.ts';
import { createSender, type Sender } from './send.ts';

export interface WebhookLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface WebhookDeps {
  config: Pick<
    Config,
    | 'keyPrefix'
    | 'publicUrl'
    | 'webhookHttp'
    | 'webhookNetworks'
    | 'webhookTimeoutMs'
    | 'webhookConcurrency'
    | 'webhookPerEndpoint'
  >;
  db: Pool;
  /** Opens a connection to the queue Redis. The role closes the connection. */
  redis(kind: 'producer' | 'blocking'): Connection;
  log: WebhookLog;
  /** Undefined where traces are switched off. */
  tracing?: Tracing | undefined;
  /** Receives each attempt after its commit. */
  onAttempt?(record: AttemptRecord): void;
  resolve?: Resolve;
  /** While the clock of this process is wrong, the role claims nothing. The sweep of another worker finds the deliveries. */
  isClockRight?: () => boolean;
  now?: () => number;
  random?: () => number;
  sweepMs?: number;
}

export interface Webhooks {
  /** Attempts in progress. */
  underWay(): number;
  /** Runs one sweep for overdue deliveries. The role also sweeps every second. */
  sweep(): Promise<void>;
  /** Starts no more attempts and waits for attempts in progress. After `deadlineMs` other workers repeat the remaining attempts. */
  close(deadlineMs?: number): Promise<void>;
}

/** An attempt that takes longer releases its slot. Half of the second within which a good receiver gets its event. */
const SLOW_MS = 500;
/** An attempt that takes longer counts as hanging, and its lane waits among the hanging lanes. */
const STUCK_MS = 2_500;
const REST_MS = { least: 50, most: 2_000 };
const CLAIM_MOST = 32;
const CLOSE_MS = 20_000;

export function startWebhooks(deps: WebhookDeps): Webhooks {
  const { config, db, log, now = sharedNow, random = Math.random, sweepMs = 1_000 } = deps;
  const logOutage = createOutageLog(log);
  const onRedisError = (error: unknown) => logOutage('redis', error);
  const onPostgresError = (error: unknown) => logOutage('postgres', error);
  const abort = new AbortController();
  const producer = deps.redis('producer');
  const blocking = deps.redis('blocking');
  const { keyPrefix } = config;
  const timers = createWebhookTimers({ connection: producer, keyPrefix, now, onError: onRedisError });
  const claims = new DeliveryClaims({ db, now, publicUrl: config.publicUrl, onError: onPostgresError });
  const resolve = deps.resolve ?? createResolve();
  const sender = createSender({ ...targetRules(config), resolve, timeoutMs: config.webhookTimeoutMs });
  const aborted: ClaimedDelivery[] = [];
  const attemptDeps: AttemptDeps = {
    sender,
    claims,
    publicUrl: config.publicUrl,
    tracing: deps.tracing,
    signal: abort.signal,
    now,
    random,
    discard: (lane) => scheduler.discard(lane),
    scheduleRetry: (lane, atMs) => void timers.scheduleLanes([{ lane, atMs }]),
    onAborted: (delivery) => void aborted.push(delivery),
    onAttempt: (record) => deps.onAttempt?.(record),
    onError: (delivery, error) => log.warn({ err: error, delivery: delivery.id }, 'webhook attempt failed internally'),
  };
  const scheduler: LaneScheduler<ClaimedDelivery> = new LaneScheduler<ClaimedDelivery>({
    claim: async (lane, limit) => (deps.isClockRight?.() === false ? [] : claims.claim(lane, limit)),
    held: (delivery) => claims.holds(delivery),
    perform: (delivery) => attemptDelivery(attemptDeps, delivery),
    perLane: config.webhookPerEndpoint,
    total: config.webhookConcurrency,
    slowMs: SLOW_MS,
    stuckMs: STUCK_MS,
    // Predictions often name another URL of the same host each time.
    groupOf: ({ endpoint, tenant, url }) => (endpoint === null ? `${tenant} ${hostOf(url)}` : undefined),
    restMs: REST_MS,
    claimMost: CLAIM_MOST,
    onError: (_lane, error) => onPostgresError(error),
  });
  const wake = (lane: string) => scheduler.wake(lane);
  const laneTimers = startLaneTimers({ connection: blocking, keyPrefix, onDue: wake, onError: onRedisError });
  const overdue = startOverdueSweep({ db, now, intervalMs: sweepMs, onOverdue: wake, onError: onPostgresError });

  let closing: Promise<void> | undefined;
  const parts = {
    claims,
    scheduler,
    laneTimers,
    overdue,
    timers,
    sender,
    aborted,
    abort,
    connections: [producer, blocking],
  };
  return {
    underWay: () => scheduler.underWay,
    sweep: () => overdue.sweep(),
    close: (deadlineMs = CLOSE_MS) => (closing ??= closeParts(parts, deadlineMs)),
  };
}

interface Parts {
  claims: DeliveryClaims;
  scheduler: LaneScheduler<ClaimedDelivery>;
  laneTimers: { close(): Promise<void> };
  overdue: OverdueSweep;
  timers: WebhookTimers;
  sender: Sender;
  /** Deliveries whose attempts were aborted. */
  aborted: readonly ClaimedDelivery[];
  abort: AbortController;
  connections: readonly Connection[];
}

async function closeParts(parts: Parts, deadlineMs: number): Promise<void> {
  const { claims, scheduler, laneTimers, overdue, timers, sender, aborted, abort, connections } = parts;
  const swept = overdue.close();
  const notStarted = scheduler.stop();
  const deadline = setTimeout(() => abort.abort(), deadlineMs);
  // BullMQ waits for an unreachable Redis without a limit.
  const late = new Promise<void>((resolve) => abort.signal.addEventListener('abort', () => resolve()));
  await Promise.all([
    Promise.race([laneTimers.close(), late]),
    Promise.race([Promise.all([swept, claims.release(notStarted)]), late]),
    scheduler.idle(),
  ]);
  clearTimeout(deadline);
  await claims.release([...scheduler.stop(), ...aborted]);
  claims.close();
  await claims.drain();
  sender.close();
  await Promise.race([timers.close(), late]);
  for (const connection of connections) connection.disconnect();
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** Logs the first failure of a store and then nothing for `quietMs`: an outage is one event, not one per failed call. */
function createOutageLog(log: WebhookLog, quietMs = 10_000): (store: string, error: unknown) => void {
  const last = new Map<string, number>();
  return (store, error) => {
    if (performance.now() - (last.get(store) ?? -quietMs) < quietMs) return;
    last.set(store, performance.now());
    log.warn({ store, err: error }, 'webhooks wait: a store fails');
  };
}
