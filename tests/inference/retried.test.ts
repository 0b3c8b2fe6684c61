/**
 * Tests that a prediction is computed once if a cancel and a retry arrive while its first job still waits in the
 * queue.
 */

import { shardOf } from '@millrace/shared/predictions/ids';
import { jobIdOf } from '@millrace/shared/queue/job';
import { connectRedis } from '@millrace/shared/redis/connection';
import { expect, test } from 'vitest';
import { rawId } from '../support/raw-id.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow']);

test('a prediction that is retried while its first job waits runs once', async () => {
  const { request, config, keys, predict, stopWorkers, startWorker } = millrace;
  await stopWorkers('stop');
  const { body } = await predict('slow', { input: { x: [1_000] } });
  const { id } = body;
  await request(`/v1/predictions/${id}/cancel`, { method: 'POST' });
  await request(`/v1/predictions/${id}/retry`, { method: 'POST' });
  const redis = connectRedis(config.redisUrl, 'blocking', { cluster: config.redisCluster });
  const waiting = await redis.zrange(`${keys.bull(shardOf('slow'))}:slow:prioritized`, '0', '-1');
  expect(waiting).toHaveLength(2);
  expect(waiting).toContain(jobIdOf(rawId(id)));
  redis.disconnect();
  const worker = await startWorker();
  const { body: ended } = await request(`/v1/predictions/${id}?wait=60`);
  expect(ended).toMatchObject({ status: 'succeeded', attempt: 1 });
  const { body: next } = await predict('slow', { input: { x: [1_001] } }, { prefer: 'wait=60' });
  expect(next.status).toBe('succeeded');
  expect(await worker.metric('millrace_worker_rows_total')).toBe(2);
}, 120_000);
