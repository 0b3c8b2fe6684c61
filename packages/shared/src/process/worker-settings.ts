/** Settings of workers: roles, engines, the order of work, and how long the ledger keeps rows. */
import { flag, integer, list, type Setting, text } from './setting.ts';

export const WORKER_SETTINGS = {
  workerRoles: {
    name: 'WORKER_ROLES',
    kind: 'list',
    default: 'inference,webhooks,recorder',
    oneOf: ['inference', 'webhooks', 'recorder'],
    about: 'Roles of this worker.',
  },
  workerModels: list('WORKER_MODELS', '', 'Models that this worker serves. Default: all models.'),
  workerPort: integer('WORKER_PORT', {
    default: 0,
    min: 0,
    max: 65_535,
    about: 'Port of the worker health and metrics; 0 selects a free port.',
  }),
  workerHost: text('WORKER_HOST', '127.0.0.1', 'Address of the worker health and metrics.'),
  engines: integer('ENGINES', {
    default: 0,
    min: 0,
    max: 256,
    about: 'Engines of a worker; 0 means one engine for every two cores.',
  }),
  engineDevices: list(
    'ENGINE_DEVICES',
    '',
    'Devices of the engines: execution providers of onnxruntime, each with the number of a device if there are several, such as `cpu,cuda:0,cuda:1`. Default: `cpu`, and the first device of each provider that a model names.',
  ),
  workerConcurrency: integer('WORKER_CONCURRENCY', {
    default: 64,
    min: 1,
    max: 1_024,
    about: 'Maximum number of jobs of one model that a worker holds; a worker also stops at a second of work.',
  }),
  engineMemoryMb: integer('ENGINE_MEMORY_MB', {
    default: 2_048,
    min: 128,
    max: 1_048_576,
    about: 'Memory at which an engine is replaced.',
  }),
  engineIdleS: integer('ENGINE_IDLE', {
    default: 300,
    min: 0,
    max: 604_800,
    about: 'Seconds without a run after which an engine is ended; 0 keeps all engines.',
  }),
  loadMemoryMb: integer('LOAD_MEMORY_MB', {
    default: 1_024,
    min: 64,
    max: 1_048_576,
    about: 'Memory limit of the first load of a model file.',
  }),
  loadTimeoutMs: integer('LOAD_TIMEOUT_MS', {
    default: 60_000,
    min: 100,
    max: 3_600_000,
    about: 'Time limit of the first load of a model file.',
  }),
  lockMs: integer('LOCK_MS', {
    default: 30_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Duration of the BullMQ lock of a job.',
  }),
  heartbeatMs: integer('HEARTBEAT_MS', {
    default: 1_000,
    min: 100,
    max: 60_000,
    about:
      'Interval of the worker heartbeat; a worker counts as dead after two and a half intervals without a heartbeat.',
  }),
  maxAttempts: integer('MAX_ATTEMPTS', {
    default: 4,
    min: 1,
    max: 100,
    about: 'Number of executions lost with their worker after which a prediction fails.',
  }),
  scanMs: integer('SCAN_MS', {
    default: 2_000,
    min: 100,
    max: 3_600_000,
    about: 'Interval between two scans of the models folder.',
  }),
  watchModels: flag(
    'WATCH_MODELS',
    false,
    'Serve edited files of a version as a version of their own; for development, as `npm start -- --watch`.',
  ),
  reconcileMs: integer('RECONCILE_MS', {
    default: 2_000,
    min: 100,
    max: 3_600_000,
    about: 'Interval between two comparisons of the ledger with Redis.',
  }),
  recorderLagMs: integer('RECORDER_LAG_MS', {
    default: 30_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Age of an unrecorded end at which a worker with the role `recorder` is not ready.',
  }),
  retentionDays: integer('RETENTION_DAYS', {
    default: 30,
    min: 1,
    max: 3_650,
    about: 'Days that the ledger keeps; an older day is dropped when no prediction of the day is open.',
  }),
  statsRetentionDays: integer('STATS_RETENTION_DAYS', {
    default: 30,
    min: 1,
    max: 3_650,
    about: 'Days that the counts by minute and by hour are kept, for `GET /v1/stats`.',
  }),
} as const satisfies Record<string, Setting>;
