/**
 * `npm run test:conformance -- --data DIR [--limit N] [--only TEXT]` tests every model of the ONNX backend suite. DIR
 * is onnx/backend/test/data of the PyPI package `onnx`. The test puts the models into a models folder, runs them
 * through each protocol and compares the results with the suite. Writes results.json, with a reason for each failure.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { TensorMap } from '@millrace/shared/tensors/tensor';
import { openSession, type Place, runSession } from '../../apps/worker/src/engine/child/ort-tensor.ts';
import { difference } from './compare.ts';
import { protocols, Refused } from './protocols.ts';
import { type Case, type DataSet, dataSets, dropIn, findCases } from './suite.ts';
import { type Indexed, repositoryIndex, startSystem } from './system.ts';

const ONE_THREAD: Place = { threads: 1, device: { provider: 'cpu', id: 0 } };
const AT_ONCE = 8;
const REGISTERED_WITHIN_MS = 30 * 60_000;

const { values } = parseArgs({
  options: { data: { type: 'string' }, limit: { type: 'string' }, only: { type: 'string' }, out: { type: 'string' } },
});
if (!values.data)
  throw new Error('usage: npm run test:conformance -- --data DIR [--limit N] [--only TEXT] [--out FILE]');

const cases = (await findCases(values.data))
  .filter(({ model }) => model.includes(values.only ?? ''))
  .slice(0, Number(values.limit ?? 1e9));
console.log(`${cases.length} models.`);

type Reasons = Record<string, string[]>;
const addReason = (reasons: Reasons, reason: string, model: string) => {
  const general = reason.replaceAll(/"[^"]*"|'[^']*'/g, '"…"');
  reasons[general] = [...(reasons[general] ?? []), model];
};

const refused: Reasons = {};
const results = Object.fromEntries(
  Object.keys(protocols).map((protocol) => [protocol, { right: 0, refused: {} as Reasons, wrong: {} as Reasons }]),
);
const system = await startSystem((modelsDir) => dropIn(cases, modelsDir), {
  SCAN_MS: '1000',
  // As JSON, some tensors of the suite are large.
  BODY_LIMIT: String(64 * 1_048_576),
  JSON_LIMIT: String(64 * 1_048_576),
});
const startedAt = performance.now();
try {
  const index = await untilRegistered();
  const registeredS = Math.round((performance.now() - startedAt) / 100) / 10;
  console.log(`Registered in ${registeredS} s.`);
  const listed = performance.now();
  const list = await fetch(`${system.url}/v1/models`).then((response) => response.text());
  const listMs = Math.round(performance.now() - listed);
  const testedAt = performance.now();
  const waiting = [...cases];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = waiting.shift(); one; one = waiting.shift()) await judge(one, index.get(one.model));
    }),
  );
  const report = {
    suite: `the backend suite of the PyPI package onnx: ${cases.length} models`,
    on: new Date().toISOString().slice(0, 10),
    models: cases.length,
    registered_s_after_api_ready: registeredS,
    tested_s: Math.round((performance.now() - testedAt) / 100) / 10,
    models_list: { ms: listMs, bytes: list.length },
    tolerance: 'relative 1e-3, absolute 1e-5',
    right: Object.fromEntries(Object.entries(results).map(([protocol, { right }]) => [protocol, right])),
    refused_at_registration: { count: Object.values(refused).flat().length, reasons: refused },
    protocols: results,
  };
  const out = values.out ?? path.join(import.meta.dirname, 'results.json');
  await writeFile(out, `${JSON.stringify(report, null, 2)}\n`);
  console.log(JSON.stringify({ ...report, refused_at_registration: report.refused_at_registration.count }, null, 2));
} finally {
  await system.close();
}

async function untilRegistered(): Promise<Map<string, Indexed>> {
  const deadline = performance.now() + REGISTERED_WITHIN_MS;
  for (;;) {
    const index = (await repositoryIndex(system.url)).filter(({ state }) => state !== 'LOADING');
    if (index.length >= cases.length) return new Map(index.map((one) => [one.name, one]));
    if (performance.now() > deadline) throw new Error(`${index.length} of ${cases.length} are registered`);
    await delay(1_000);
  }
}

async function judge(one: Case, indexed: Indexed | undefined): Promise<void> {
  if (indexed?.state !== 'READY')
    return addReason(refused, indexed?.reason ?? 'the model was not registered', one.model);
  const metadata = (await fetch(`${system.url}/v2/models/${one.model}`).then((response) =>
    response.json(),
  )) as Metadata;
  const names = metadata.outputs.map(({ name }) => name);
  let sets: DataSet[];
  try {
    sets = await dataSets(
      one,
      metadata.inputs.map(({ name }) => name),
    );
  } catch (error) {
    return addReason(refused, `the suite's data: ${(error as Error).message}`, one.model);
  }
  for (const [protocol, infer] of Object.entries(protocols)) {
    const result = results[protocol]!;
    try {
      const wrong: string[] = [];
      for (const set of sets) wrong.push(...compare(set, names, await infer(system.url, one.model, set.inputs)));
      if (wrong.length === 0) result.right += 1;
      else addReason(result.wrong, `${await blame(one, sets, names)}: ${wrong[0]}`, one.model);
    } catch (error) {
      const reason = `${await blame(one, sets, names)}: ${(error as Error).message}`;
      addReason(error instanceof Refused ? result.refused : result.wrong, reason, one.model);
    }
  }
}

interface Metadata {
  inputs: { name: string }[];
  outputs: { name: string }[];
}

function compare({ outputs }: DataSet, names: readonly string[], got: TensorMap): string[] {
  return outputs.flatMap((expected, at) => {
    const tensor = got[names[at]!];
    const wrong = tensor === undefined ? 'is missing' : difference(expected, tensor);
    return wrong === undefined ? [] : [`"${names[at]}" ${wrong}`];
  });
}

/** Whether onnxruntime alone returns the suite's expected outputs. */
async function blame({ dir }: Case, sets: readonly DataSet[], names: readonly string[]): Promise<string> {
  try {
    const session = await openSession(path.join(dir, 'model.onnx'), ONE_THREAD);
    const runs: string[] = [];
    for (const set of sets) runs.push(...compare(set, names, await runSession(session, set.inputs)));
    await session.release();
    return runs.length === 0 ? 'onnxruntime alone is right' : 'onnxruntime alone is wrong as well';
  } catch {
    return 'onnxruntime alone fails as well';
  }
}
