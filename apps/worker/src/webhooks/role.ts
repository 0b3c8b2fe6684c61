/**
 * The role `webhooks`: timers and sweeps wake lanes, the pump attempts what is due in them, outcomes go back to Postgres
 * and set the next timer.
 *
 *     recorder ─ timer ─┐
 *                       ├─► lane ─► claim ─► attempt ─► settle ─► timer, if there is a next attempt
 *     sweep ────────────┘
 */

import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import type { Config } from '@millrace/shared/process/config';
import type { Connection } from '@millrace/shared/redis/connection';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import type { Resolve } from '@millrace/shared/webhooks/target';
import { targetRules } from '@millrace/shared/webhooks/target-rules';
import { createWebhookTimers, type LaneJob, WEBHOOK_QUEUE, webhookPrefix } from '@millrace/shared/webhooks/timers';
import { Worker } from 'bullmq';
import { attempt } from './attempt.ts';
import { DeliveryClaims } from './delivery-claims.ts';
import type { ClaimedDelivery } from './due-deliveries.ts';
import { LaneScheduler } from './lane-scheduler.ts';
import { createOverdueSweep } from './overdue-sweep.ts';
import type { Settled } from './record-outcome.ts';
import { createSender } from './send.ts';

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
  /** A new connection to the queue Redis, which is closed here. */
  redis(kind: 'producer' | 'blocking'): Connection;
  log: WebhookLog;
  /** Told of each attempt, once it is written. */
  onAttempt?(settled: Settled): void;
  resolve?: Resolve;
  /** Nothing is claimed while the clock of this process is wrong: the sweep of another worker finds what is due. */
  isClockRight?: () => boolean;
  now?: () => number;
  random?: () => number;
  sweepMs?: number;
}

export interface Webhooks {
  /** Attempts under way. */
  underWay(): number;
  /** Looks for what is overdue, as it does every second by itself. */
  sweep(): Promise<void>;
  /** Begins nothing more and waits for what is under way; what lasts beyond `deadlineMs` is made again by others. */
  close(deadlineMs?: number): Promise<void>;
}

/** An attempt that takes longer gives its slot back: half of the second within which a good receiver is to be reached. */
const SLOW_MS = 500;
/** One that takes longer is one of those that hang, and waits among them. */
const STUCK_MS = 2_500;
const REST_MS = { least: 50, most: 2_000 };
const CLAIM_MOST = 32;
const TIMER_CONCURRENCY = 16;
/** What is overdue for less is on its way by its timer. */
const OVERDUE_MS = 250;
/**
 * A job lasts no longer than it takes to wake its lane. The one of a worker that died keeps others of its name out until
 * it is found to be stalled; BullMQ's half minute would leave the lane to the sweep for as long.
 */
const TIMER_LOCK_MS = 4_000;
const TIMER_STALLED_MS = 2_000;
const CLOSE_MS = 20_000;

export function startWebhooks(deps: WebhookDeps): Webhooks {
  const { config, db, log, now = sharedNow, random = Math.random, sweepMs = 1_000 } = deps;
  const failing = createOutageLog(log);
  const abort = new AbortController();
  const producer = deps.redis('producer');
  const blocking = deps.redis('blocking');
  const timers = createWebhookTimers({
    connection: producer,
    keyPrefix: config.keyPrefix,
    now,
    onError: (error) => failing('redis', error),
  });
  const claims = new DeliveryClaims({ db, now, onError: (error) => failing('postgres', error) });
  const resolve = deps.resolve ?? createResolve();
  const sender = createSender({ ...targetRules(config), resolve, timeoutMs: config.webhookTimeoutMs });
  const deliverDeps = { sender, publicUrl: config.publicUrl, now, random };
  const unfinished: ClaimedDelivery[] = [];

  const scheduler = new LaneScheduler<ClaimedDelivery>({
    claim: async (lane, limit) => (deps.isClockRight?.() === false ? [] : claims.claim(lane, limit)),
    held: (delivery) => claims.holds(delivery),
    perform: async (delivery) => {
      try {
        const settled = await attempt(deliverDeps, delivery, abort.signal);
        if (!settled) {
          unfinished.push(delivery);
          return true;
        }
        // What else was claimed for an endpoint that is now disabled is canceled by the same commit.
        const spared = settled.disable === null ? [] : scheduler.discard(delivery.lane);
        await claims.settle(delivery, settled, () => {
          void claims.release(spared);
          deps.onAttempt?.(settled);
          if (settled.nextAt !== null) void timers.scheduleLanes([{ lane: delivery.lane, atMs: settled.nextAt }]);
        });
        return settled.status === 'delivered';
      } catch (error) {
        // Of this one delivery alone, such as a secret that is none: it is attempted again when its claim has ended.
        log.warn({ err: error, delivery: delivery.id }, 'A webhook could not be attempted.');
        return false;
      }
    },
    perLane: config.webhookPerEndpoint,
    total: config.webhookConcurrency,
    slowMs: SLOW_MS,
    stuckMs: STUCK_MS,
    // What predictions name is often an address for each of them.
    groupOf: ({ endpoint, tenant, url }) => (endpoint === null ? `${tenant} ${hostOf(url)}` : undefined),
    restMs: REST_MS,
    claimMost: CLAIM_MOST,
    onError: (_lane, error) => failing('postgres', error),
  });

  const worker = new Worker<LaneJob>(WEBHOOK_QUEUE, async (job) => scheduler.wake(job.data.lane), {
    connection: blocking,
    prefix: webhookPrefix(config.keyPrefix),
    concurrency: TIMER_CONCURRENCY,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    lockDuration: TIMER_LOCK_MS,
    stalledInterval: TIMER_STALLED_MS,
    maxStalledCount: 1_000,
    skipVersionCheck: true,
  });
  worker.on('error', (error) => failing('redis', error));
  // Once more: while the job was there a new one of its name was refused, and what that one told of must be seen.
  worker.on('completed', (job) => scheduler.wake(job.data.lane));

  const overdueLanes = createOverdueSweep(db);
  async function sweep(): Promise<void> {
    try {
      for (const lane of await overdueLanes(now() - OVERDUE_MS)) scheduler.wake(lane);
    } catch (error) {
      failing('postgres', error);
    }
  }
  let swept = Promise.resolve();
  let sweeper: NodeJS.Timeout | undefined;
  const sweepLater = () => {
    sweeper = setTimeout(() => {
      swept = sweep().then(() => {
        if (!abort.signal.aborted && sweeper) sweepLater();
      });
    }, sweepMs);
  };
  sweepLater();

  let closing: Promise<void> | undefined;
  async function close(deadlineMs: number): Promise<void> {
    clearTimeout(sweeper);
    sweeper = undefined;
    const unbegun = scheduler.stop();
    const deadline = setTimeout(() => abort.abort(), deadlineMs);
    // BullMQ waits for Redis without end, where that is gone.
    const late = new Promise<void>((resolve) => abort.signal.addEventListener('abort', () => resolve()));
    await Promise.all([
      Promise.race([worker.close(), late]),
      Promise.race([Promise.all([swept, claims.release(unbegun)]), late]),
      scheduler.idle(),
    ]);
    clearTimeout(deadline);
    await claims.release([...scheduler.stop(), ...unfinished]);
    claims.close();
    await claims.drain();
    sender.close();
    await Promise.race([timers.close(), late]);
    for (const connection of [producer, blocking]) connection.disconnect();
  }

  return {
    underWay: () => scheduler.underWay,
    sweep,
    close: (deadlineMs = CLOSE_MS) => (closing ??= close(deadlineMs)),
  };
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** One line when a store fails, and no more for a while: an outage is one event, however many calls it breaks. */
function createOutageLog(log: WebhookLog, quietMs = 10_000): (store: string, error: unknown) => void {
  const last = new Map<string, number>();
  return (store, error) => {
    if (performance.now() - (last.get(store) ?? -quietMs) < quietMs) return;
    last.set(store, performance.now());
    log.warn({ store, err: error }, 'Webhooks wait for a store.');
  };
}
