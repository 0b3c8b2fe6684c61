/** Incidents of processes and their machines. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Incident } from '../incident.ts';
import { repeat } from '../traffic.ts';

export const processIncidents: Incident[] = [
  {
    name: 'recorder-stopped',
    how: 'the only worker with the role recorder stands still',
    alert: { name: 'MillraceProcessDown', labels: (stage) => ({ instance: stage.instance(stage.recorder) }) },
    effects: {
      MillraceRecorderLate: 'ends are not recorded',
      MillraceRecorderIdle: 'ends are not recorded',
      MillraceReconcilerIdle: 'the role recorder also runs the reconciler',
    },
    async inject({ recorder }) {
      recorder.signal('SIGSTOP');
      return () => recorder.signal('SIGCONT');
    },
  },
  {
    name: 'api-blocked',
    how: 'the API process stands still for 1.5 s of each 9 s',
    alert: { name: 'MillraceEventLoopBlocked', labels: (stage) => ({ instance: stage.instance(stage.api) }) },
    lines: [{ process: 'api', message: 'the event loop was blocked', fields: { ms: /^\d{4}$/ } }],
    inject: async ({ api }) =>
      repeat(7_500, async () => {
        api.signal('SIGSTOP');
        await delay(1_500);
        api.signal('SIGCONT');
      }),
  },
  {
    name: 'clock-wrong',
    how: 'the clock of a worker is ten minutes ahead',
    alert: { name: 'MillraceClockWrong', labels: (stage) => ({ instance: stage.instance(stage.workers[1]) }) },
    lines: [{ process: 'worker', message: 'The clock', fields: { worker: /./ } }],
    async inject({ workers }) {
      workers[1].signal('SIGUSR2');
      return () => workers[1].signal('SIGUSR2');
    },
    async signals({ get, workers }) {
      const { body } = await get(workers[1], '/readyz');
      const state = (body.parts as Record<string, string> | undefined)?.clock;
      return state === undefined || state === 'ok' ? [`/readyz of the worker reports the clock: ${state}`] : [];
    },
  },
];
