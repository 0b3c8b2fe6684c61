/** The checks behind `/readyz`: each part that an API process needs, and the workers and recorders of the system. */
import { oldestEndMs } from '@millrace/shared/live/ledger-stream';
import { checkWritable } from '@millrace/shared/postgres/read-only';
import type { Config } from '@millrace/shared/process/config';
import { listWorkers } from '@millrace/shared/queue/worker-list';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Draining } from './http/graceful-shutdown.ts';
import type { Catalog } from './models/catalog.ts';
import { checkAdmission, checkLag, checkPromises, checkWorkers } from './operations/health-checks.ts';
import { checkAll } from './operations/readiness.ts';
import type { Checks } from './operations/routes.ts';
import type { PredictionServices } from './predictions/prediction-services.ts';
import type { Stores } from './stores/open-stores.ts';

interface CheckedParts {
  config: Config;
  predictions: Pick<PredictionServices, 'queueMemory' | 'promiseFault' | 'queues'>;
  stores: Stores;
  catalog: Catalog;
  draining: Draining;
}

export function checksOf({ config, stores, catalog, draining, predictions }: CheckedParts): Checks {
  const { queue, cache, clock, db, keys } = stores;
  // A cache Redis that refuses writes may still return results.
  let returnsResults = true;
  const checks = {
    process: async () => {
      if (draining.leaving) throw new Error('stopping');
    },
    redis: () => queue.probe.prove(),
    async cache() {
      try {
        await cache.probe.prove();
        returnsResults = true;
      } catch (error) {
        returnsResults = await cache.redis.strlen(keys.probe(0, 'read')).then(
          () => true,
          () => false,
        );
        throw error;
      }
    },
    postgres: () => checkWritable(db),
    clock: async () => {
      const fault = clock.fault();
      if (fault !== undefined) throw new Error(fault);
    },
    models: async () => {
      const { servable, problems } = await catalog.condition('default');
      if (servable === 0) throw new Error(['no model is ready', ...problems.slice(0, 3)].join('. '));
    },
    admission: async () => checkAdmission(predictions.queueMemory(), config.maxMemoryShare),
    promises: async () => checkPromises(predictions.promiseFault()),
    workers: async () => checkWorkers(await predictions.queues(), () => workersOf(queue.redis, keys)),
    recorder: async () => checkLag(await oldestEndMs(queue.redis, keys), config.recorderLagMs),
  };
  return {
    ready: () => checkAll(checks),
    degraded: async () => (await catalog.condition('default')).problems,
    serves: (isFaulty) =>
      !['process', 'clock', 'models'].some(isFaulty) && (!isFaulty('cache') || returnsResults || !isFaulty('redis')),
  };
}

/** The running workers of one look: each entry has the models of a worker. */
export const workersOf = (redis: Connection, keys: Keys) =>
  listWorkers(redis, keys, { after: undefined, limit: 1_000 });
