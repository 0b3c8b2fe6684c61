/** The responses of the routes of the history and of the workers, as JSON Schema. */
import { type TSchema, Type } from 'typebox';
import { extensible, listOf, orNull, Time } from '../http/response-schemas.ts';

const Count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const Ms = (description: string): TSchema => orNull(Type.Number({ minimum: 0 }), description);
const Share = (description: string): TSchema => orNull(Type.Number({ minimum: 0, maximum: 1 }), description);

const StatsValues = Type.Object(
  {
    accepted: Count('Predictions that the API created.'),
    succeeded: Count('Predictions that succeeded in the step.'),
    failed: Count('Predictions that failed in the step.'),
    canceled: Count('Predictions that were canceled in the step.'),
    expired: Count('Predictions that expired in the step.'),
    hits: Count(
      'Requests with a result from the cache. A hit creates no prediction, unless the request needs its own.',
    ),
    misses: Count('Requests whose result was not in the cache.'),
    refused: Count('Requests that the API refused with 429 or 503.'),
    rate: Type.Number({ minimum: 0, description: 'Ended predictions per second.' }),
    waiting: orNull(
      Type.Integer({ minimum: 0 }),
      'Waiting predictions at the end of the step, or now in a step that has not ended; null if unknown.',
    ),
    oldest_waiting_s: orNull(
      Type.Number({ minimum: 0 }),
      'Age of the oldest waiting prediction at the end of the step; null if no prediction waited, or if unknown.',
    ),
    wait_p50_ms: Ms('Half of the waits were shorter.'),
    wait_p95_ms: Ms('95 % of the waits were shorter.'),
    run_p50_ms: Ms('Half of the runs were shorter.'),
    run_p95_ms: Ms('95 % of the runs were shorter.'),
    total_p50_ms: Ms('Half of the predictions ended faster.'),
    total_p95_ms: Ms('95 % of the predictions ended faster.'),
    hit_share: Share('Hits among hits and misses; null without requests.'),
    error_share: Share('Failed and expired predictions among the ended predictions; null without ended predictions.'),
  },
  { $id: 'StatsValues' },
);

const StatsStep = Type.Object({ start_at: Time, values: StatsValues }, { $id: 'StatsStep' });

export const StatsList = listOf('StatsList', StatsStep);

const ModelStats = Type.Object(
  {
    model: Type.String(),
    values: StatsValues,
    start_at: Time,
    step_s: Type.Integer({ minimum: 60, description: 'Seconds of a step of `requests`.' }),
    requests: Type.Array(Type.Integer({ minimum: 0 }), {
      description: 'Ended predictions and hits in each step, oldest first. The first step begins at `start_at`.',
    }),
  },
  { $id: 'ModelStats' },
);

export const ModelStatsList = listOf('ModelStatsList', ModelStats);

export const Worker = Type.Object(
  {
    id: Type.String(),
    status: extensible(['running', 'draining', 'stale'], {
      description: '`stale`: no report for 15 seconds. The worker hangs or has died. Extensible.',
    }),
    roles: Type.Array(Type.String()),
    models: Type.Array(
      Type.Object({ name: Type.String(), version: Type.String(), providers: Type.Array(Type.String()) }),
      {
        description:
          'The versions that the worker can run, each with the execution providers of onnxruntime that run the version.',
      },
    ),
    engines: Type.Array(
      Type.Object({
        model: orNull(Type.String(), 'Null for an engine without a loaded model.'),
        version: orNull(Type.String()),
        provider: Type.String({ description: 'The execution provider of onnxruntime, such as `cpu`.' }),
        status: extensible(['starting', 'idle', 'busy', 'stopped']),
        memory_bytes: orNull(Type.Integer({ minimum: 0 }), 'Resident bytes of the process of the engine.'),
      }),
      {
        description: 'One item for each loaded version of each engine. An engine has its memory in each of its items.',
      },
    ),
    providers: Type.Array(Type.String()),
    memory_bytes: Type.Integer({ minimum: 0, description: 'Resident bytes of the worker and its engines.' }),
    held: Type.Integer({ minimum: 0, description: 'Predictions that the worker holds and has not started.' }),
    rows_per_s: Type.Number({ minimum: 0, description: 'Computed rows per second since the last report but one.' }),
    release: Type.String({ description: 'The version of Millrace.' }),
    host: Type.String(),
    started_at: Time,
    seen_at: Time,
  },
  { $id: 'Worker' },
);

export const WorkerList = listOf('WorkerList', Worker);
