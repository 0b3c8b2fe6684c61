/** Incidents of models and their files. */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { slow } from '../../chaos/models.ts';
import { identity, perceptron } from '../../support/onnx-models.ts';
import type { Incident } from '../incident.ts';
import { repeat } from '../traffic.ts';

export const modelIncidents: Incident[] = [
  {
    name: 'model-slow',
    how: 'each run of a model takes 15 times as long',
    calmS: 85,
    alert: { name: 'MillraceModelSlow', labels: { model: 'slow' } },
    async inject({ traffic }) {
      const usual = traffic.shape.runMs;
      traffic.shape.runMs = 15 * usual;
      return () => {
        traffic.shape.runMs = usual;
      };
    },
  },
  {
    name: 'file-broken',
    how: 'a new version has a file that is no ONNX model',
    alert: { name: 'MillraceVersionNotServed', labels: { model: 'slow', version: '2' } },
    lines: [
      { process: 'worker', message: 'version not served here', fields: { model: 'slow', version: '2', reason: /./ } },
    ],
    async inject({ stage }) {
      const folder = path.join(stage.env.MODELS_DIR ?? '', 'slow', '2');
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'model.onnx'), 'this is no model');
      return () => rm(folder, { recursive: true });
    },
    async signals({ as }) {
      const { url, headers } = as('north');
      const response = await fetch(`${url}/v1/models/slow/versions`, { headers });
      const { data } = (await response.json()) as {
        data: { version: string; state?: string; reason?: string | null }[];
      };
      const reason = data.find(({ version }) => version === '2')?.reason;
      return reason ? [] : ['GET /v1/models/slow/versions has no reason of version 2'];
    },
  },
  {
    name: 'model-not-served',
    how: "one worker has other files of a model, and the model's only other worker stops",
    alert: { name: 'MillraceModelNotServed', labels: { model: 'slow' } },
    effects: {
      MillraceVersionNotServed: 'the worker cannot serve the registered version',
      MillraceEnginesBlocked: 'engines are idle while predictions of the model wait',
    },
    lines: [{ process: 'worker', message: 'version not served here', fields: { model: 'slow', reason: /./ } }],
    async inject(drill) {
      const { servers, stage, workers, addWorker, rescrape, send } = drill;
      const folder = path.join(servers.dir, 'other-models');
      await cp(stage.env.MODELS_DIR ?? '', folder, { recursive: true });
      await writeFile(path.join(folder, 'slow', '1', 'model.onnx'), identity('int64', ['n']));
      await addWorker({ MODELS_DIR: folder });
      await Promise.all(workers.map((worker) => worker.stop()));
      await rescrape();
      const stop = repeat(100, () => send(slow(4), { wait: false }));
      return async () => {
        await stop();
        await rm(folder, { recursive: true });
      };
    },
    async signals({ stage, get, api }) {
      const missing: string[] = [];
      const { body } = await get(api, '/readyz');
      const [worker] = stage.workers.filter(({ leaving }) => !leaving).slice(-1);
      if (!JSON.stringify(body).includes('slow')) missing.push('/readyz of the API does not name the model');
      const other = worker ? await get(worker, '/readyz') : { body: {} };
      if (!JSON.stringify(other.body).includes('slow')) missing.push('/readyz of the worker does not name the model');
      return missing;
    },
  },
  {
    name: 'version-changes',
    how: 'a new version of a model appears in the models folder and serves at once',
    calmS: 75,
    alert: { name: 'MillraceDefaultChanged', labels: { model: 'quick', version: '2' } },
    lines: [{ process: 'api', message: 'the default version changed', fields: { model: 'quick', from: '1', to: '2' } }],
    async inject({ stage }) {
      const folder = path.join(stage.env.MODELS_DIR ?? '', 'quick', '2');
      await mkdir(folder, { recursive: true });
      // Another file with the same signature and other bytes.
      await writeFile(path.join(folder, 'model.onnx'), Buffer.concat([perceptron(), Buffer.from([0x2a, 0x00])]));
      return () => rm(folder, { recursive: true });
    },
  },
  {
    name: 'worker-slow',
    how: 'the engine of one of two workers gets a quarter of its processor time',
    calmS: 40,
    alert: {
      name: 'MillraceWorkerSlow',
      labels: (stage) => ({ model: 'slow', instance: stage.instance(stage.workers[1]) }),
    },
    async inject({ workers, traffic }) {
      traffic.shape.runMs = 12;
      const [engine] = workers[1].children();
      if (engine === undefined) throw new Error('the worker has no engine');
      const stop = throttle(engine);
      return () => {
        stop();
        traffic.shape.runMs = 4;
      };
    },
  },
];

/** Stops a process for three quarters of the time. */
function throttle(pid: number): () => void {
  let turn = 0;
  const timer = setInterval(() => {
    turn = (turn + 1) % 4;
    if (turn === 0) process.kill(pid, 'SIGCONT');
    else if (turn === 1) process.kill(pid, 'SIGSTOP');
  }, 5);
  return () => {
    clearInterval(timer);
    process.kill(pid, 'SIGCONT');
  };
}
