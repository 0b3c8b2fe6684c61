/** Changes of a model's files while the model is served. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { floats, onnxModel } from '../../support/onnx-builder.ts';
import type { Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick } from '../models.ts';

/** A model with the size and signature of `quick` and different outputs. */
const impostor = (): Buffer =>
  onnxModel({
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
      { op: 'Relu', inputs: ['h'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2, 2], data: floats(3, -3, 5, -5) }],
  });

export const fileFaults: Fault[] = [
  {
    name: 'model-replaced',
    how: 'model.onnx overwritten in place by another model under load, its engines killed five times, then the file restored',
    async run({ stage, random, note, expect }) {
      const file = path.join(stage.env.MODELS_DIR as string, 'quick', '1', 'model.onnx');
      const registered = await readFile(file);
      const restore = () => writeFile(file, registered);
      stage.atEnd(restore);
      const load = startLoad(stage.client, random, { request: () => ({ ...quick(), mayFail: true }) });
      const read = async () => (await stage.client.submit({ ...quick(), mayFail: true })).entry?.seen;
      const before = await read();
      expect(before?.status === 'succeeded', 'no request succeeded before the fault');
      await writeFile(file, impostor());
      let refused = 0;
      for (let n = 0; n < 5; n += 1) {
        for (const worker of stage.workers) for (const engine of worker.children()) process.kill(engine, 'SIGKILL');
        // An engine that started after the kill serves each of these requests, or no engine does.
        for (let n = 0; n < 3; n += 1) if ((await read())?.status === 'failed') refused += 1;
      }
      await restore();
      const healedAt = Date.now();
      await load.stop();
      const failed = stage.client.entries.filter(({ seen }) => seen?.status === 'failed');
      const named = failed.filter(({ seen }) => /model\.onnx is not the file/.test(seen?.detail ?? ''));
      note(`${failed.length} of ${stage.client.entries.length} failed, each with the name of the file`);
      expect(refused > 0, 'no engine had to load the replaced file');
      expect(named.length === failed.length, `${failed.length - named.length} failed for another reason`);
      return healedAt;
    },
  },
];
