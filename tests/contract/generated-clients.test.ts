/**
 * Clients that generators write from the OpenAPI document, without any change: each calls every operation once, and reads the responses of
 * a later version with unknown members, statuses and codes.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { planOf, programOf, type Step } from './call-plan.ts';
import { LATER, type LaterVersion, startLaterVersion } from './later-version.ts';

const MODEL = 'drug-interaction';
const ROOT = path.resolve(import.meta.dirname, '../..');
const CACHE = path.join(ROOT, 'node_modules/.cache/contract');
const PYTHON = path.join(import.meta.dirname, 'python');
const TYPESCRIPT = path.join(ROOT, 'packages/client/node_modules');
const run = promisify(execFile);

/** The folder of the generators of Python clients; undefined on a machine without Python 3.11, or where pip cannot install them. */
const venv = await pythonTools();

async function pythonTools(): Promise<string | undefined> {
  // The programs of a virtual environment contain its path, so the folder cannot be renamed when it is complete.
  const folder = path.join(CACHE, 'venv-2');
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return folder;
  try {
    await mkdir(CACHE, { recursive: true });
    await run('python3', ['-c', 'import sys; assert sys.version_info >= (3, 11)']);
    await run('python3', ['-m', 'venv', '--clear', folder]);
    const requirements = path.join(PYTHON, 'requirements.txt');
    await run(path.join(folder, 'bin/python'), ['-m', 'pip', 'install', '-q', '-r', requirements]);
    await writeFile(complete, '');
    return folder;
  } catch {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }
}

const millrace = useMillrace({ models: [MODEL], env: { FILES_URL: path.join(CACHE, 'files') } });
let folder: string;
let later: LaterVersion;
let file: string;
let ids: { prediction: string; file: string; endpoint: string; delivery: string; worker: string };
// biome-ignore lint/suspicious/noExplicitAny: the test reads single members of an OpenAPI document.
let document: any;

beforeAll(async () => {
  await mkdir(CACHE, { recursive: true });
  folder = await mkdtemp(path.join(CACHE, 'run-'));
  later = await startLaterVersion(millrace.url);
  document = (await millrace.request('/openapi.json')).body;
  file = path.join(folder, 'openapi.json');
  await writeFile(file, JSON.stringify(document));
});
afterAll(async () => {
  await later.close();
  await rm(folder, { recursive: true, force: true });
});

/** The plan with resources of its own: the calls of each client delete and end resources. */
async function plan(): Promise<Step[]> {
  const input = { drug_a: 'Warfarin', drug_b: 'Fluconazole' };
  const made = await millrace.predict(MODEL, { input, metadata: { of: 'plan' } }, { prefer: 'wait=30' });
  const endpoint = await millrace.request('/v1/webhook-endpoints', { body: { url: 'https://hooks.example.com/a' } });
  const delivery = await millrace.request(`/v1/webhook-endpoints/${endpoint.body.id}/test`, { method: 'POST' });
  let worker = 'none';
  await expect
    .poll(async () => {
      worker = (await millrace.request('/v1/workers')).body.data[0]?.id ?? 'none';
      return worker;
    })
    .not.toBe('none');
  const stored = await millrace.request('/v1/files', {
    body: 'a file',
    headers: { 'content-type': 'text/plain' },
  });
  ids = {
    prediction: made.body.id,
    file: stored.body.id,
    endpoint: endpoint.body.id,
    delivery: delivery.body.id,
    worker,
  };
  const idOf = (template: string): string => {
    if (template.startsWith('/v1/predictions')) return ids.prediction;
    if (template.startsWith('/v1/files')) return ids.file;
    if (template.startsWith('/v1/workers')) return ids.worker;
    return template.startsWith('/v1/webhook-deliveries') ? ids.delivery : ids.endpoint;
  };
  return planOf(document, (template) => ({
    model: MODEL,
    version: '1',
    alias: 'generated',
    entity: 'drug',
    key: 'Warfarin',
    id: idOf(template),
  }));
}

interface Called {
  operation: string;
  status: number;
  parsed?: string;
  values?: { status?: string; code?: string };
  error?: string;
}

const linesOf = (stdout: string): Called[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Each operation was called, and no request had a wrong form. */
function expectCalled(called: readonly Called[], steps: readonly Step[]): void {
  expect(called.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(called.map(({ operation }) => operation)).toEqual(steps.map(({ operation }) => operation));
  const refused = called.filter(({ status }) => status >= 500 || [400, 401, 405, 413, 415, 422].includes(status));
  expect(refused).toEqual([]);
  expect(called.filter(({ status }) => status < 300).length).toBeGreaterThan(called.length * 0.8);
}

/** The client has read the values of a later version. */
function expectLater(called: readonly Called[]): void {
  const of = (operation: string) => called.find((one) => one.operation === operation)?.values;
  expect(of('getPrediction')?.status).toBe(LATER.status);
  expect(of('getVersion')?.status).toBe(LATER.status);
  expect(of('cancelPredictionByKey')?.code).toBe(LATER.code);
}

describe('openapi-typescript with openapi-fetch', () => {
  test('compiles, calls each operation, and reads a later version', async () => {
    const steps = await plan();
    const types = path.join(folder, 'openapi.ts');
    const { execPath } = process;
    await run(execPath, [path.join(TYPESCRIPT, 'openapi-typescript/bin/cli.js'), file, '-o', types]);
    await writeFile(path.join(folder, 'calls.ts'), programOf(steps));
    await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
    const options = ['--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'];
    const compiler = path.join(TYPESCRIPT, 'typescript/bin/tsc');
    const more = ['--skipLibCheck', '--rewriteRelativeImportExtensions', '--outDir', path.join(folder, 'js')];
    const compiled = run(execPath, [compiler, ...options, ...more, path.join(folder, 'calls.ts')]);
    await compiled.catch(({ stdout }: { stdout: string }) => expect(stdout).toBe(''));
    await copyFile(path.join(folder, 'package.json'), path.join(folder, 'js/package.json'));
    const program = path.join(folder, 'js/calls.js');
    expectCalled(linesOf((await run(execPath, [program, millrace.url])).stdout), steps);
    expectLater(linesOf((await run(execPath, [program, later.url])).stdout));
  });
});

describe.skipIf(venv === undefined)('in Python, where the machine has it', () => {
  const program = (name: string) => path.join(venv ?? '', 'bin', name);
  const env = {
    ...process.env,
    PATH: `${path.join(venv ?? '', 'bin')}:${process.env.PATH}`,
    PYTHONDONTWRITEBYTECODE: '1',
  };

  async function call(script: string, base: string, steps: readonly Step[]): Promise<Called[]> {
    const planned = path.join(folder, 'plan.json');
    await writeFile(planned, JSON.stringify({ steps }));
    const { stdout } = await run(program('python'), [path.join(PYTHON, script), folder, base, planned], { env });
    return linesOf(stdout);
  }

  test('openapi-python-client calls each operation, and reads a later version', async () => {
    const generate = ['generate', '--path', file, '--meta', 'none', '--output-path', path.join(folder, 'generated')];
    const { stdout, stderr } = await run(program('openapi-python-client'), [...generate, '--overwrite'], { env });
    // A warning would name a part that the generator has left out.
    expect(stdout + stderr).not.toMatch(/warning|skipping/i);
    const steps = await plan();
    const called = await call('call_operations.py', millrace.url, steps);
    expectCalled(called, steps);
    expect(called.find(({ operation }) => operation === 'getPrediction')?.parsed).toBe('Prediction');
    const read = await call('call_operations.py', later.url, await plan());
    expect(read.filter(({ error }) => error !== undefined)).toEqual([]);
    expectLater(read);
  });

  test('datamodel-code-generator reads each response, and a later version', async () => {
    const options = ['--input', file, '--input-file-type', 'openapi', '--output-model-type', 'pydantic_v2.BaseModel'];
    const output = ['--output', path.join(folder, 'generated_models.py')];
    await run(program('datamodel-codegen'), [...options, ...output], { env });
    const steps = await plan();
    expectCalled(await call('read_responses.py', millrace.url, steps), steps);
    const read = await call('read_responses.py', later.url, await plan());
    expect(read.filter(({ error }) => error !== undefined)).toEqual([]);
    expectLater(read);
  });
});
