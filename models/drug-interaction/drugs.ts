/** Helpers of the tests: the entities of entities/drug.csv, and the model in this process. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEntityCsv } from '@millrace/shared/entities/entity-csv';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import type { Entities, Entity, TensorMap } from '@millrace/shared/handler';
import { InferenceSession, Tensor } from 'onnxruntime-node';

export type Drug = Entity & { vector: Float32Array };

export function readDrugs(): Drug[] {
  const file = path.join(import.meta.dirname, 'entities/drug.csv');
  return parseEntityCsv(readFileSync(file, 'utf8'), file) as Drug[];
}

export function entitiesOf(drugs: readonly Drug[]): Entities {
  return buildEntities({ drug: drugs });
}

/** Loads the model with one thread. The returned function maps named tensors to the probability of each row. */
export async function loadModel(file: string): Promise<(tensors: TensorMap) => Promise<Float32Array>> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  return async (tensors) => {
    const feeds: Record<string, Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(tensors))
      feeds[name] = new Tensor('float32', data as Float32Array, [...dims]);
    const { probability } = await session.run(feeds);
    return probability?.data as Float32Array;
  };
}
