/** Measures the lag of the recorders, and reports a standstill in /readyz, /healthz and the metrics. */
import type { WorkerContext } from '../operations/worker-context.ts';
import { measureLag, type RecorderLag } from './lag.ts';
import { SetAside } from './set-aside.ts';

const MEASURE_EVERY_MS = 2_000;

export function watchLag(base: WorkerContext, shards: readonly number[]): void {
  const { config, log, redis, keys, metrics, health, closers } = base;
  const setAside = new SetAside(redis, keys);
  let lag: RecorderLag = { lagMs: 0, setAside: 0 };
  let measuring = false;
  let standsStill = false;

  async function measure(): Promise<void> {
    if (measuring) return;
    measuring = true;
    try {
      lag = await measureLag({ redis, keys, setAside, shards });
      const late = lag.lagMs > config.recorderLagMs;
      if (late !== standsStill) {
        standsStill = late;
        if (late) log.error(lag, 'the ledger is behind: ends are not recorded in time');
        else log.info(lag, 'the ledger has caught up');
      }
    } catch (error) {
      log.debug({ err: error }, 'the lag of the recorder cannot be measured');
    } finally {
      measuring = false;
    }
  }

  const report = (): string =>
    lag.lagMs > config.recorderLagMs
      ? `The oldest end has waited ${Math.round(lag.lagMs / 1_000)} s for the ledger; RECORDER_LAG_MS allows ` +
        `${config.recorderLagMs / 1_000} s. See the log for the statement that Postgres refuses.`
      : 'ok';

  const timer = setInterval(() => void measure(), MEASURE_EVERY_MS);
  closers.push('recorder lag', () => clearInterval(timer));
  health.check('recorder', report);
  health.note('recorder', report);
  metrics.gauge(
    'millrace_recorder_lag_seconds',
    'Age of the oldest end that is not in the ledger yet.',
    () => lag.lagMs / 1_000,
  );
  metrics.gauge(
    'millrace_recorder_set_aside',
    'Ends that are written to the ledger on their own: large ends, and ends that failed with others.',
    () => lag.setAside,
  );
}
