import { expect, test } from 'vitest';
import { newPredictionId } from '../predictions/ids.ts';
import { jobIdOf } from './job.ts';
import { jobTime } from './oldest-jobs.ts';

test('the time of a job is the time of its prediction, and of a later job the time of its later start', () => {
  const createdAt = Date.UTC(2026, 0, 31);
  const id = newPredictionId(3, createdAt);
  expect(jobTime(jobIdOf(id))).toBe(createdAt);
  expect(jobTime(jobIdOf(id, createdAt + 86_400_000))).toBe(createdAt + 86_400_000);
});
