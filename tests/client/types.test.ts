/** The types that `millrace types` writes for the bundled models, in the calls of the client: a wrong field is a type error. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Millrace } from '@millrace/client';
import { expect, test } from 'vitest';
import { declarationOf } from '../../packages/millrace/src/commands/types.ts';
import { useMillrace } from '../support/millrace.ts';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const millrace = useMillrace({ models: ['drug-interaction', 'drug-interaction-similarity'] });

/** Each line after `@ts-expect-error` must be an error: the compiler reports a line without an error. */
const CALLS = `
import { type ModelTypes, Millrace, type Prediction } from '@millrace/client';
import type { WebhookEvent } from '@millrace/client';

const millrace = new Millrace();
const input: ModelTypes['drug-interaction']['input'] = { drug_a: 'Warfarin', drug_b: 'Aspirin' };

export async function right() {
  const output = await millrace.run('drug-interaction', input, { priority: 'low', signal: new AbortController().signal });
  const probability: number = output.probability;
  const outputs = await millrace.runMany('drug-interaction', [input], { onError: 'row' });
  const handle = await millrace.submit('drug-interaction', input);
  const interaction: boolean = (await handle.wait()).interaction;
  const update = ({ queue }: Prediction) => queue?.position;
  await millrace.run('drug-interaction', input, { onUpdate: update });
  const untyped = new Millrace<object>();
  await untyped.run('any', { any: 'input' });
  const own = new Millrace<{ iris: { input: { x: number[] }; output: 'setosa' | 'virginica' } }>();
  const kind: 'setosa' | 'virginica' = await own.run('iris', { x: [1] });
  for await (const { id } of millrace.list({ status: ['failed'], order: 'asc', createdAfter: new Date() })) id.startsWith('pred_');
  const model = await millrace.request('PUT', '/v1/models/{model}/aliases/{alias}', { path: { model: 'm', alias: 'a' }, body: { version: '1' } });
  return [probability, outputs[0]?.probability, interaction, kind, model.aliases];
}

export async function wrong(event: WebhookEvent) {
  // @ts-expect-error A field is missing.
  await millrace.run('drug-interaction', { drug_a: 'Warfarin' });
  // @ts-expect-error A field has another name.
  await millrace.run('drug-interaction', { drug_a: 'Warfarin', drug_c: 'Aspirin' });
  // @ts-expect-error A field has another type.
  await millrace.run('drug-interaction', { drug_a: 'Warfarin', drug_b: 7 });
  // @ts-expect-error The server has no such model.
  await millrace.run('drug-interactions', input);
  // @ts-expect-error The output has no such field.
  (await millrace.run('drug-interaction', input)).probabilty;
  // @ts-expect-error One row is no list.
  await millrace.runMany('drug-interaction', input);
  // @ts-expect-error An option has another name.
  await millrace.submit('drug-interaction', input, { expires_in: 5 });
  // @ts-expect-error A priority that does not exist.
  await millrace.submit('drug-interaction', input, { priority: 'urgent' });
  // @ts-expect-error Metadata are texts.
  await millrace.submit('drug-interaction', input, { metadata: { order: 17 } });
  // @ts-expect-error A filter that does not exist.
  millrace.list({ modell: 'm' });
  // @ts-expect-error A value that does not exist.
  millrace.list({ order: 'up' });
  // @ts-expect-error A route that does not exist.
  await millrace.request('GET', '/v1/modells');
  // @ts-expect-error A method that the route does not have.
  await millrace.request('DELETE', '/v1/models');
  // @ts-expect-error A parameter of the path is missing.
  await millrace.request('GET', '/v1/models/{model}');
  // @ts-expect-error The body has another field.
  await millrace.request('PUT', '/v1/models/{model}/aliases/{alias}', { path: { model: 'm', alias: 'a' }, body: { versoin: '1' } });
  // @ts-expect-error The result has no such field.
  (await millrace.request('GET', '/v1/models/{model}', { path: { model: 'm' } })).nam;
  // @ts-expect-error An event that does not exist.
  if (event.type === 'prediction.done') return;
  // @ts-expect-error Only predictions have a model.
  if (event.type === 'webhook_endpoint.test') event.data.model;
}
`;

test('wrong fields are type errors, and right fields are not', { timeout: 240_000 }, async () => {
  const client = new Millrace({ baseUrl: millrace.url });
  const versions = [];
  for await (const { name } of client.models.list()) versions.push(await client.models.version(name, '1'));
  const cache = path.join(ROOT, '.build');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(path.join(cache, 'millrace-types-'));
  try {
    await writeFile(path.join(folder, 'millrace-models.d.ts'), declarationOf(versions));
    await writeFile(path.join(folder, 'calls.ts'), CALLS);
    const config = { extends: '../../tsconfig.json', files: ['calls.ts', 'millrace-models.d.ts'], include: [] };
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
    const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
    const output = await run(process.execPath, [compiler, '-p', folder]).catch((error: { stdout: string }) => error);
    expect(output.stdout).toBe('');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
