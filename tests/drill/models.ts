/** The models of a drill: the models of the faults, and a model whose handler fails on demand. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeModels } from '../chaos/models.ts';
import { identity, spinner } from '../support/onnx-models.ts';

/** y = x. `act` makes a stage of the handler misbehave: `throw` and `abort` in the engine, `busy` in the canonical form. */
const HANDLER = `
import { defineHandler, Type } from '@millrace/handler';

export default defineHandler({
  input: Type.Object({ x: Type.Number(), act: Type.Optional(Type.String()) }, { additionalProperties: false }),
  output: Type.Object({ y: Type.Number() }),
  canonicalize({ x, act = '' }) {
    const until = act === 'busy' ? performance.now() + 700 : 0;
    while (performance.now() < until);
    return { x, act };
  },
  encode(rows) {
    if (rows.some(({ act }) => act === 'throw')) throw new RangeError('a table has no such row');
    if (rows.some(({ act }) => act === 'abort')) process.abort();
    return { x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows, ({ x }) => x) } };
  },
  decode: ({ y }, rows) => rows.map((_, at) => ({ y: y.data[at] })),
});
`;

export async function writeDrillModels(dir: string): Promise<void> {
  await writeModels(dir);
  // A model with long runs, one row in each.
  await mkdir(path.join(dir, 'heavy', '1'), { recursive: true });
  await writeFile(path.join(dir, 'heavy', '1', 'model.onnx'), spinner());
  await writeFile(path.join(dir, 'heavy', 'model.json'), JSON.stringify({ max_batch: 1, row_independent: true }));
  await mkdir(path.join(dir, 'acting', '1'), { recursive: true });
  await writeFile(path.join(dir, 'acting', '1', 'model.onnx'), identity('float32', ['n', 1]));
  await writeFile(path.join(dir, 'acting', 'model.json'), JSON.stringify({ row_independent: true }));
  await writeFile(path.join(dir, 'acting', 'handler.ts'), HANDLER);
}
