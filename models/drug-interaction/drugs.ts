/** For the tests: entities/drug.csv as the handler sees it, and the model run in this process. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Entities, Entity, TensorMap } from '@millrace/shared/handler';
import { nearNames } from '@millrace/shared/near-names';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Records of a CSV (RFC 4180) by the names of its first line. */
function parseCsv(text: string): Record<string, string>[] {
  const rows: string[][] = [];
  for (const line of text.trimEnd().split('\n')) {
    const cells = line.match(/"(?:[^"]|"")*"|[^,]+|(?<=,|^)(?=,|$)/g) ?? [];
    rows.push(cells.map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell)));
  }
  const [names = [], ...records] = rows;
  return records.map((cells) => Object.fromEntries(names.map((name, index) => [name, cells[index] ?? ''])));
}

export function fold(name: string): string {
  return name.trim().replace(/\s+/g, ' ').toLowerCase();
}

export function readDrugs(): (Entity & { vector: Float32Array })[] {
  const text = readFileSync(path.join(import.meta.dirname, 'entities/drug.csv'), 'utf8');
  return parseCsv(text).map(({ key, name, aliases, vector, ...attributes }) => {
    const bytes = Buffer.from(vector as string, 'base64');
    return {
      key: key as string,
      name: name as string,
      aliases: aliases ? aliases.split('|') : [],
      attributes,
      vector: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
    };
  });
}

export function entitiesOf(drugs: Entity[]): Entities {
  const keys = new Map(drugs.map((drug) => [drug.key, drug]));
  const names = new Map<string, Entity>();
  for (const drug of drugs) for (const name of [drug.key, drug.name, ...drug.aliases]) names.set(fold(name), drug);
  return {
    find: (_, name) => names.get(fold(name)),
    get: (_, key) => keys.get(key),
    near: (_, name, limit) =>
      nearNames(
        name,
        drugs.map((drug) => drug.name),
        limit,
      ),
    all: () => drugs,
  };
}

export async function loadModel(file: string): Promise<(tensors: TensorMap) => Promise<Float32Array>> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  return async (tensors) => {
    const feeds = Object.fromEntries(
      Object.entries(tensors).map(([name, { data, dims }]) => [
        name,
        new Tensor('float32', data as Float32Array, [...dims]),
      ]),
    );
    const { probability } = await session.run(feeds);
    return probability?.data as Float32Array;
  };
}
