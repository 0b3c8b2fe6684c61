/**
 * Tests that a prediction is computed once if a cancel and a retry arrive while its first job still waits in the
 * queue, and that the job of the retry has the priority of the prediction.
 */

import { shardOf } from '@millrace/shared/predictions/ids';
import { BULL_PRIORITY } from '@millrace/shared/predictions/prediction';
import { jobIdOf } from '@millrace/shared/queue/job';
import { connectRedis } from '@millrace/shared/redis/connection';
import { expect, test } from 'vitest';
import { rawId } from '../support/raw-id.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow']);

test('a prediction that is retried while its first job waits runs once', async () => {
  const { request, config, keys, predict, stopWorkers, startWorker } = millrace;
  await stopWorkers('stop');
  const { body } = await predict('slow', { input: { x: [1_000] }, priority: 'low' });
  const { id } = body;
  await request(`/v1/predictions/${id}/cancel`, { method: 'POST' });
  await request(`/v1/predictions/${id}/retry`, { method: 'POST' });
  const redis = connectRedis(config.redisUrl, 'blocking', { cluster: config.redisCluster });
  const queue = `${keys.bull(shardOf('slow'))}:slow`;
  const waiting = await redis.zrange(`${queue}:prioritized`, '0', '-1');
  expect(waiting).toHaveLength(2);
  expect(waiting).toContain(jobIdOf(rawId(id)));
  const priorities = await Promise.all(waiting.map((job) => redis.hget(`${queue}:${job}`, 'priority')));
  expect(priorities).toEqual([String(BULL_PRIORITY.low), String(BULL_PRIORITY.low)]);
  redis.disconnect();
  const worker = await startWorker();
  const { body: ended } = await request(`/v1/predictions/${id}?wait=60`);
  expect(ended).toMatchObject({ status: 'succeeded', attempt: 1 });
  const { body: next } = await predict('slow', { input: { x: [1_001] } }, { prefer: 'wait=60' });
  expect(next.status).toBe('succeeded');
  expect(await worker.metric('millrace_worker_rows_total')).toBe(2);
}, 120_000);
