/** Creates models with a handler whose behavior the input selects. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { identity } from './onnx-models.ts';

/** y = x for x of one number. The member `act` of an input makes `canonicalize` misbehave. */
export const ACTING_HANDLER = `
import { defineHandler, InputError, Type } from '@millrace/handler';

function act(what) {
  if (what === 'spin') for (;;);
  if (what === 'wait') return new Promise(() => {});
  if (what === 'exit') process.exit(3);
  if (what === 'memory') { const all = []; for (;;) all.push(new Array(100_000).fill({ a: all.length })); }
  if (what === 'throw') throw new RangeError('there is no such thing');
  if (what === 'refuse') throw new InputError({ pointer: '/act', message: 'This is refused.' });
  if (what === 'env') return Promise.resolve({ env: Object.keys(process.env) });
  if (what.startsWith('busy')) {
    const until = performance.now() + Number(what.slice(4));
    while (performance.now() < until);
  }
}

export default defineHandler({
  input: Type.Object({ x: Type.Number(), act: Type.Optional(Type.String()) }, { additionalProperties: false }),
  output: Type.Object({ y: Type.Number() }),
  canonicalize({ x, act: what = '' }) {
    const waiting = act(what);
    if (waiting) return waiting;
    return what === 'nan' ? { x: Number.NaN } : { x };
  },
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows, ({ x }) => x) } }),
  decode: ({ y }, rows) => rows.map((_, at) => ({ y: y.data[at] })),
});
`;

/** A models folder with a handler for each name. `remove` deletes the folder. */
export async function makeHandlerModels(
  handlers: Readonly<Record<string, string>>,
  config: object = {},
): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-handlers-'));
  for (const [name, source] of Object.entries(handlers)) {
    await mkdir(path.join(dir, name, '1'), { recursive: true });
    await writeFile(path.join(dir, name, '1', 'model.onnx'), identity('float32', ['n', 1]));
    await writeFile(path.join(dir, name, 'model.json'), JSON.stringify(config));
    await writeFile(path.join(dir, name, 'handler.ts'), source);
  }
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
