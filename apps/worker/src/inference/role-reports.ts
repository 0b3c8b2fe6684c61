/** What the role `inference` reports: metrics, its part in the list of workers, and its health. */

import { CPU } from '@millrace/shared/model-files/engine-settings';
import type { Devices } from '../engine/devices.ts';
import type { EnginePool } from '../engine/engine-pool.ts';
import type { SlotState } from '../engine/engine-slot.ts';
import type { LoadedVersion } from '../engine/protocol/loaded-version.ts';
import type { ModelManager } from '../models/model-manager.ts';
import type { Presence } from '../operations/presence.ts';
import type { WorkerContext } from '../operations/worker-context.ts';
import type { InferenceRole } from './inference-role.ts';
import { takesWork } from './waiting-work.ts';

export interface Started {
  role: InferenceRole;
  models: ModelManager;
}

export function addMetrics({ metrics }: WorkerContext, { role, models }: Started): void {
  const { consumers, held } = role;
  metrics.gaugeBy(
    {
      name: 'millrace_worker_held_oldest_seconds',
      help: 'Time since the oldest prediction that this worker holds and has not started entered the queue.',
      labels: ['model', 'priority'],
    },
    () => role.oldestHeld(),
  );
  metrics.gauge('millrace_worker_results_held_bytes', 'Bytes of results that wait to be written.', () => held.bytes);
  metrics.gauge('millrace_worker_consumers', 'Models whose queue this worker reads.', () => consumers.open.length);
  metrics.gauge('millrace_worker_held', 'Predictions that this worker holds and has not started.', () => role.waiting);
  metrics.gauge(
    'millrace_worker_models_mismatched',
    'Versions in service whose files in the models folder differ from the registered files.',
    () => models.mismatched().length,
  );
  metrics.gaugeBy(
    { name: 'millrace_model_serving', help: 'Versions that this worker serves.', labels: ['model', 'version'] },
    () => models.runnable().map(({ version: { model, version } }) => ({ labels: { model, version }, value: 1 })),
  );
  metrics.gaugeBy(
    {
      name: 'millrace_model_unserved',
      help: 'Registered versions that this worker does not serve: their files are missing or differ, or the version failed.',
      labels: ['model', 'version'],
    },
    () => models.unserved().map(({ version: { model, version } }) => ({ labels: { model, version }, value: 1 })),
  );
}

/** The part of the role in the list of workers. */
export function describeTo(
  presence: Presence,
  { role, models, pool, devices }: Started & { pool: EnginePool; devices: Devices },
): void {
  let before = { rows: role.rows, atMs: performance.now() };
  models.onChange(() => void presence.report());
  presence.describe(async () => {
    const engines = await pool.describe();
    const now = { rows: role.rows, atMs: performance.now() };
    const seconds = (now.atMs - before.atMs) / 1_000;
    const rate = seconds > 0 ? (now.rows - before.rows) / seconds : 0;
    before = now;
    return {
      models: models.runnable().map(({ version: { model, version }, loaded }) => ({
        name: model,
        version,
        providers: runningProviders(loaded, engines),
      })),
      engines: engines.flatMap(({ status, loaded, memoryBytes }) => {
        const shown = loaded.length > 0 ? loaded : [{ model: null, version: null, provider: CPU }];
        return shown.map((version) => ({ ...version, status, memory_bytes: memoryBytes }));
      }),
      providers: devices.providers,
      held: role.waiting,
      rows_per_s: Math.round(rate * 10) / 10,
      engineBytes: engines.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0),
    };
  });
}

/** The providers of the engines that have loaded a version. Without such an engine: the provider that the next engine uses. */
function runningProviders({ model, version, engine }: LoadedVersion, engines: readonly SlotState[]): string[] {
  const own = engines.flatMap(({ loaded }) => loaded.filter((one) => one.model === model && one.version === version));
  if (own.length === 0) return [engine?.providers[0]?.name ?? CPU];
  return [...new Set(own.map(({ provider }) => provider))].sort();
}

export function addHealthChecks({ health, clock, live }: WorkerContext, { role, models }: Started): void {
  // A version that failed serves nowhere, and is no fault of this worker.
  const unserved = () =>
    models.unserved().flatMap(({ version: { state }, reason }) => (state === 'failed' ? [] : [reason]));
  health.check('inference', () =>
    models.runnable().length > 0
      ? 'ok'
      : ['no version of any model is ready here', ...unserved().slice(0, 3)].join('. '),
  );
  health.degraded(unserved);
  // A restart does not repair a clock.
  health.liveness(async () => (clock.fault() === undefined ? takesWork(role.consumers.open, live) : 'ok'));
}
