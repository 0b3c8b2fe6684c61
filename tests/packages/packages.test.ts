/**
 * The packages as a user has them: packed, installed from the tarballs in an empty folder, and run on the Node of the machine, which
 * is Node 20 in CI.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@millrace/local/process/ports';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { processesWith } from '../start/processes-with.ts';
import { ACTING_HANDLER, makeHandlerModels } from '../support/handler-models.ts';
import { createTestDatabase } from '../support/test-database.ts';
import { testPrefix } from '../support/test-prefix.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const LONG = 600_000;

let dir = '';
let models: Awaited<ReturnType<typeof makeHandlerModels>>;
let dryRun = '';
/** A failed test leaves its programs. */
const running = new Set<ChildProcess>();
/** A shell's environment: npm puts the Node 24 of the repository on the PATH of its own children. */
const env = (): Record<string, string> => ({
  PATH: (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => !folder.includes('node_modules'))
    .join(path.delimiter),
  HOME: process.env.HOME ?? dir,
});

beforeAll(async () => {
  const options = { cwd: root, env: env(), maxBuffer: 64 * 1_048_576 };
  dryRun = (await run('npm', ['run', '-s', 'release', '--', '--dry-run'], options)).stdout;
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-packages-'));
  // Without the file npm would install into a folder above that has packages.
  await writeFile(path.join(dir, 'package.json'), '{"private": true}\n');
  const tarballs = path.join(root, '.build/tarballs');
  const files = (await readdir(tarballs)).map((file) => path.join(tarballs, file));
  await run('npm', ['install', '--no-audit', '--no-fund', ...files], { cwd: dir, env: env() });
  models = await makeHandlerModels({ doubled: ACTING_HANDLER }, { description: 'y = x.' });
}, LONG);

afterAll(async () => {
  for (const child of running) process.kill(-child.pid!, 'SIGKILL');
  await models?.remove();
  await rm(dir, { recursive: true, force: true });
});

interface Program {
  output(): string;
  /** Resolves when the output has a match. Rejects when the program ends earlier. */
  until(pattern: RegExp): Promise<void>;
  stop(): Promise<number | null>;
}

function millrace(args: readonly string[], more: Record<string, string> = {}): Program {
  const child = spawn('npx', ['millrace', ...args], { cwd: dir, env: { ...env(), ...more }, detached: true });
  let output = '';
  let look = () => {};
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
      look();
    });
  const ended = once(child, 'close') as Promise<[number | null]>;
  running.add(child);
  child.once('close', () => running.delete(child));
  return {
    output: () => output,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        look = () => pattern.test(output) && resolve();
        look();
        void ended.then(() => reject(new Error(`millrace ${args.join(' ')} ended:\n${output}`)));
      }),
    stop: async () => {
      // As Ctrl-C in a terminal: the signal reaches npx and all its children.
      process.kill(-child.pid!, 'SIGINT');
      return (await ended)[0];
    },
  };
}

async function predict(url: string): Promise<unknown> {
  const response = await fetch(`${url}/v1/models/doubled/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: { x: 3 } }),
  });
  const { status, output } = (await response.json()) as { status: string; output: unknown };
  return { status, output };
}

/** The page of the console, and each file that the page names. */
async function expectConsole(url: string): Promise<void> {
  const page = await (await fetch(`${url}/console`)).text();
  const files = [...page.matchAll(/(?:href|src)="([^"]+\/assets\/[^"]+)"/g)].map(([, file]) => file);
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect([file, (await fetch(url + file)).status]).toEqual([file, 200]);
}

test('the dry run of a release lists the files of each package, and publint and attw find no fault', () => {
  expect(dryRun).toContain('Dry run: the packages have no faults, and nothing was published.');
  for (const file of ['bin/millrace.mjs', 'migrations/0001_tenants.sql', 'src/live/lib.lua', 'src/main.js.map'])
    expect(dryRun).toContain(`  ${file}\n`);
});

test('millrace serve gives the first response from the installed packages', { timeout: LONG }, async () => {
  const port = await freePort();
  const served = millrace(['serve', models.dir, '--port', String(port)]);
  await served.until(/Millrace serves doubled/);
  const url = `http://127.0.0.1:${port}`;
  expect(await predict(url)).toEqual({ status: 'succeeded', output: { y: 3 } });
  await expectConsole(url);
  const options = { cwd: dir, env: { ...env(), MILLRACE_URL: url } };
  const predicted = await run('npx', ['millrace', 'predict', 'doubled', 'x=4'], options);
  expect(JSON.parse(predicted.stdout)).toEqual({ y: 4 });
  const again = millrace(['serve', models.dir, '--port', '0']);
  await expect(again.until(/never/)).rejects.toThrow('Millrace already runs in this folder');
  await served.stop();
  await expect.poll(() => processesWith(dir), { timeout: 60_000 }).toEqual([]);
});

test('millrace migrate, api, worker, keys and models run the parts for production', { timeout: LONG }, async () => {
  const database = await createTestDatabase();
  const servers = {
    REDIS_URL: inject('redisUrl'),
    REDIS_CLUSTER: String(inject('redisCluster')),
    DATABASE_URL: database.url,
    KEY_PREFIX: testPrefix(),
    MODELS_DIR: models.dir,
    PORT: '0',
    WORKER_PORT: '0',
  };
  const once = (...args: string[]) => run('npx', ['millrace', ...args], { cwd: dir, env: { ...env(), ...servers } });
  expect((await once('migrate')).stdout).toMatch(/up to date\.\n$/);
  const worker = millrace(['worker'], servers);
  const api = millrace(['api'], servers);
  await Promise.all([worker.until(/"version ready"/), api.until(/"api ready"/)]);
  const url = /"url":"([^"]+)"/.exec(api.output())?.[1] ?? '';
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 60_000 }).toBe(200);
  expect(await predict(url)).toEqual({ status: 'succeeded', output: { y: 3 } });
  expect((await once('keys', 'create', 'default', '--json')).stdout).toMatch(/^\{"key":"mrk_/);
  expect((await once('models', 'check')).stdout).toContain('doubled/1: good');
  await Promise.all([api.stop(), worker.stop()]);
  await database.drop();
});

test('millrace init writes a folder whose model and client run', { timeout: LONG }, async () => {
  await run('npx', ['millrace', 'init', 'starter'], { cwd: dir, env: env() });
  const port = await freePort();
  const served = millrace(['serve', 'starter/models', '--port', String(port)]);
  await served.until(/Millrace serves example/);
  const options = { cwd: dir, env: { ...env(), MILLRACE_URL: `http://127.0.0.1:${port}` } };
  const { stdout } = await run('node', ['starter/client.mjs'], options);
  expect(JSON.parse(stdout)).toEqual({ y: { dtype: 'float32', shape: [1, 2], data: [5, 0] } });
  await served.stop();
  await expect.poll(() => processesWith(dir), { timeout: 60_000 }).toEqual([]);
});

test('the types of the packages compile in a project of a user', { timeout: LONG }, async () => {
  await writeFile(
    path.join(dir, 'handler.mts'),
    `import { defineHandler, Type } from '@millrace/handler';
import { Millrace } from '@millrace/client';
export const call = (): Promise<unknown> => new Millrace({ baseUrl: 'http://localhost' }).run('m', { x: 1 });
export default defineHandler({
  input: Type.Object({ x: Type.Number() }),
  output: Type.Object({ y: Type.Number() }),
  canonicalize: ({ x }) => ({ x }),
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows, ({ x }) => x) } }),
  decode: (tensors, rows) => rows.map(({ x }) => ({ y: x })),
});
`,
  );
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', ''];
  await run(process.execPath, [tsc, ...flags, 'handler.mts'], { cwd: dir }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
  const manifest = JSON.parse(await readFile(path.join(dir, 'node_modules/millrace/package.json'), 'utf8'));
  expect(manifest.engines).toEqual({ node: '>=20' });
});
