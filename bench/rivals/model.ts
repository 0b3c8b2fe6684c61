/** The model that every rival runs, with the model's own handler. The rivals differ only in the way to the model. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Entities, Entity } from '@millrace/shared/handler';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import handler from '../../models/drug-interaction/handler.ts';

export const folderName = 'drug-interaction';
/** The folder of the bundled model. */
export const bundled = path.resolve(import.meta.dirname, '../../models', folderName);
export const predictionsPath = `/v1/models/${folderName}/predictions`;

export interface Pair {
  drug_a: string;
  drug_b: string;
}

export type Row = Awaited<ReturnType<typeof handler.canonicalize>>;
export type Output = Awaited<ReturnType<typeof handler.decode>>[number];

export interface Model {
  canonicalize(input: Pair): Row | Promise<Row>;
  /** Runs the model once for all rows. */
  predict(rows: readonly Row[]): Promise<Output[]>;
}

/** The drugs of the model, in the order of their file. */
export async function readDrugs(): Promise<Entity[]> {
  const [head = '', ...lines] = (await readFile(path.join(bundled, 'entities/drug.csv'), 'utf8')).trim().split('\n');
  const names = head.split(',');
  return lines.map((line) => {
    const { key = '', name = '', aliases = '', vector = '', ...attributes } = record(names, line.split(','));
    const bytes = Buffer.from(vector, 'base64');
    const floats = new Float32Array(bytes.length / 4).map((_, index) => bytes.readFloatLE(index * 4));
    return { key, name, aliases: aliases.split('|').filter(Boolean), attributes, vector: floats };
  });
}

function record(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}

const spelt = (text: string): string => text.trim().replace(/\s+/g, ' ').toLowerCase();

function entitiesOf(drugs: readonly Entity[]): Entities {
  const byKey = new Map(drugs.map((drug) => [drug.key, drug]));
  const byName = new Map(
    drugs.flatMap((drug) => [drug.key, drug.name, ...drug.aliases].map((name) => [spelt(name), drug] as const)),
  );
  return {
    find: (_, name) => byName.get(spelt(name)),
    get: (_, key) => byKey.get(key),
    near: () => [],
    all: () => drugs,
  };
}

/**
 * Opens the model of MODELS_DIR, which the stage may set, or the bundled model. The session has one thread: a run of
 * one row is too short to divide, and the rivals share two cores.
 */
export async function openModel(modelsDir = process.env.MODELS_DIR ?? path.dirname(bundled)): Promise<Model> {
  const [session, drugs] = await Promise.all([
    InferenceSession.create(path.join(modelsDir, folderName, '1/model.onnx'), {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
    }),
    readDrugs(),
  ]);
  const context = { entities: entitiesOf(drugs) };
  return {
    canonicalize: (input) => handler.canonicalize(input, context),
    predict: async (rows) => {
      const inputs = await handler.encode(rows, context);
      const feeds: Record<string, Tensor> = {};
      for (const [name, { data, dims }] of Object.entries(inputs)) {
        feeds[name] = new Tensor('float32', data as Float32Array, dims);
      }
      const { probability } = await session.run(feeds);
      if (probability === undefined) throw new Error('the model has no output `probability`');
      const data = probability.data as Float32Array;
      return handler.decode({ probability: { dtype: 'float32', dims: probability.dims, data } }, rows, context);
    },
  };
}

/** The handler without a session, for programs such as an API in front of a queue. */
export async function openCanonicalizer(): Promise<Pick<Model, 'canonicalize'>> {
  const context = { entities: entitiesOf(await readDrugs()) };
  return { canonicalize: (input) => handler.canonicalize(input, context) };
}
