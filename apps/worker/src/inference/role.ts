/** The role `inference`: models, engines, and a consumer for each model that can be run here. */

import type { ReadThrough } from '@millrace/shared/cache/read-through';
import { createQueues } from '@millrace/shared/queue/queues';
import { Devices } from '../engine/devices.ts';
import { createEnginePool, type EnginePool, poolOptions } from '../engine/engine-pool.ts';
import { type ModelManager, startModelManager } from '../models/model-manager.ts';
import { RegistryClient } from '../models/registry-client.ts';
import type { WorkerContext } from '../operations/worker-context.ts';
import { startHeartbeat } from './heartbeat.ts';
import { InferenceRole } from './inference-role.ts';
import { openCaches } from './open-caches.ts';
import { addHealthChecks, addMetrics, describeTo, type Started } from './role-reports.ts';
import { hasWork } from './waiting-work.ts';

export async function startInferenceRole(base: WorkerContext): Promise<void> {
  const { config, log, closers } = base;
  const caches = await openCaches(base);
  const options = poolOptions(config, log);
  const pool = createEnginePool({ ...options, observer: base.metrics.engines });
  const devices = new Devices({ names: config.engineDevices, log });
  base.metrics.engines.watch(pool, options.memoryLimitBytes);
  closers.push('engines', () => pool.close(1_000));
  await pool.warm();
  const models = await openModels(base, { pool, devices, readThrough: caches.readThrough });
  const role = new InferenceRole(base, { cache: caches.results, cacheWrites: caches.writes, pool, models });
  await role.start();
  addClosers(base, { role, models });
  addMetrics(base, { role, models });
  addHealthChecks(base, { role, models });
  describeTo(base.presence, { role, models, pool, devices });
}

function openModels(
  { config, log, keys, redis, db, live, closers }: WorkerContext,
  { pool, devices, readThrough }: { pool: EnginePool; devices: Devices; readThrough: ReadThrough },
): Promise<ModelManager> {
  const queues = createQueues(redis, keys, () => {});
  closers.push('queues', () => queues.close());
  return startModelManager({
    config,
    registry: new RegistryClient({ pool: db, redis, keys, readThrough }),
    pool,
    devices,
    log,
    hasWork: ({ model }) => hasWork(live, model),
  });
}

/** Parts close in reverse order: the consumers close first. */
function addClosers({ config, log, keys, id, redis, closers }: WorkerContext, { role, models }: Started): void {
  const { consumers } = role;
  const heartbeat = startHeartbeat({
    redis,
    keys,
    workerId: id,
    intervalMs: config.heartbeatMs,
    models: () => consumers.open.map(({ model }) => model),
    holds: (model, job, token) => consumers.holds(model, job, token),
    log,
  });
  closers.push('heartbeat', () => heartbeat.close());
  closers.push('models', async () => {
    role.stopServing();
    await models.close();
  });
  closers.push('consumers', () => role.close());
}
