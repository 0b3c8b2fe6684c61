import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';
import { describe, expect, test, vi } from 'vitest';
import { perceptron } from '../support/onnx-models.ts';
import { processesWith } from './processes-with.ts';
import { FIRST_REQUEST, predict, startMillrace, useStartFolder } from './started.ts';

let dir = '';
useStartFolder((folder) => {
  dir = folder;
});

describe('npm start', { timeout: 180_000 }, () => {
  test('serves a first prediction, ends at SIGTERM, and finds its data again', async () => {
    const first = await startMillrace(dir);
    await first.printed(FIRST_REQUEST);
    expect(first.output()).toMatch(
      /First prediction: Warfarin \+ Fluconazole, in \d+ ms \(Cache-Status: millrace; fwd=miss/,
    );
    // The result is cached after the response, so an immediate second request can still join the computation.
    let response = await predict(first);
    await vi.waitUntil(
      async () => {
        response = await predict(first);
        return response.cacheStatus?.startsWith('millrace; hit');
      },
      { timeout: 60_000 },
    );
    first.signal('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(await processesWith(dir)).toEqual([]);

    const second = await startMillrace(dir);
    await second.printed(FIRST_REQUEST);
    expect(second.output()).toContain('Cache-Status: millrace; hit');
    const known = await fetch(`${second.baseUrl}/v1/predictions/${response.id}`);
    expect([known.status, ((await known.json()) as { id: string }).id]).toEqual([200, response.id]);

    const third = await startMillrace(dir);
    expect(await third.exited).toMatchObject({ code: 1 });
    expect(third.output()).toContain('Millrace already runs in this folder');
    second.signal('SIGINT');
    expect(await second.exited).toEqual({ code: 0, signal: null });
  });

  test('starts without a model, explains how to add a model, and serves a model that is added', async () => {
    const modelsDir = path.join(dir, 'models');
    const millrace = await startMillrace(dir, { MODELS_DIR: modelsDir });
    await millrace.printed('npm run models -- add');
    expect(millrace.output()).toContain(`serves no model yet: there is no model in ${modelsDir}`);
    const root = await fetch(`${millrace.baseUrl}/`);
    expect([root.status, await root.text()]).toEqual([200, expect.stringContaining('/v1/models')]);
    await mkdir(path.join(modelsDir, 'good/1'), { recursive: true });
    await writeFile(path.join(modelsDir, 'good/1/model.onnx'), perceptron());
    const status = async () => (await fetch(`${millrace.baseUrl}/readyz`)).status;
    await expect.poll(status, { timeout: 60_000 }).toBe(200);
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });

  test('sends no first request when API keys are required, and serves without a failed model', async () => {
    const modelsDir = path.join(dir, 'models');
    for (const name of ['broken', 'good']) await mkdir(path.join(modelsDir, name, '1'), { recursive: true });
    await writeFile(path.join(modelsDir, 'broken/1/model.onnx'), 'not a model');
    await writeFile(path.join(modelsDir, 'good/1/model.onnx'), perceptron());
    const millrace = await startMillrace(dir, { MODELS_DIR: modelsDir, API_KEYS_REQUIRED: 'true' });
    await millrace.printed('npm run keys -- create default');
    expect(millrace.output()).toContain(`console    ${millrace.baseUrl}/console\n`);
    expect(millrace.output()).toMatch(/Millrace serves (broken, )?good\n/);
    expect((await fetch(`${millrace.baseUrl}/v1/models`)).status).toBe(401);
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });
});

describe('npm start refuses with a sentence', { timeout: 180_000 }, () => {
  const refusal = async (env: NodeJS.ProcessEnv) => {
    const millrace = await startMillrace(dir, env);
    expect(await millrace.exited).toEqual({ code: 1, signal: null });
    return millrace.output().trim();
  };

  test('a port in use', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    expect(await refusal({ PORT: String(port) })).toBe(
      `Port ${port} of 127.0.0.1 is taken by another program: stop it, or choose one with PORT=8081 npm start.`,
    );
    other.close();
  });

  test('an invalid memory size', async () => {
    expect(await refusal({ QUEUE_MEMORY: 'much' })).toMatch(/^QUEUE_MEMORY is 'much', and must be a size/);
  });

  test('WORKER_MODELS without a model in the folder', async () => {
    expect(await refusal({ MODELS_DIR: dir, WORKER_MODELS: 'absent' })).toMatch(
      /^There is no model of those in WORKER_MODELS \(absent\) in .*\. Expected <name>\/<version>\/model\.onnx\./,
    );
  });

  test('models that all fail, with each reason', async () => {
    const modelsDir = path.join(dir, 'models');
    for (const name of ['one/1', 'one/2', 'Two/1']) {
      await mkdir(path.join(modelsDir, name), { recursive: true });
      await writeFile(path.join(modelsDir, name, 'model.onnx'), 'not a model');
    }
    const printed = await refusal({ MODELS_DIR: modelsDir });
    expect(printed.slice(printed.indexOf('None of the models can be served:')).split('\n').sort()).toEqual([
      expect.stringMatching(/^ {2}Two\/1: "Two" cannot be a name/),
      expect.stringMatching(/^ {2}one\/1: .*ONNX/),
      expect.stringMatching(/^ {2}one\/2: .*ONNX/),
      'None of the models can be served:',
    ]);
  });

  test('an unreachable Postgres', async () => {
    expect(await refusal({ DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/db' })).toBe(
      'Postgres at postgres://127.0.0.1:1/db cannot be used (connect ECONNREFUSED 127.0.0.1:1): check DATABASE_URL.',
    );
  });

  test('an unreachable Redis', async () => {
    expect(await refusal({ REDIS_URL: 'redis://127.0.0.1:1' })).toMatch(
      /^The queue Redis \(REDIS_URL\) cannot be reached: /,
    );
  });

  test.each([
    ['would evict', ['maxmemory-policy', 'allkeys-lru'], /noeviction/],
    ['keeps nothing on disk', ['appendonly', 'no'], /appendonly/],
  ] as const)('a Redis that %s', async (_, [name, value], sentence) => {
    const guard = startGuard();
    const program = await findOrInstallRedis(console.log);
    const files = { dataDir: path.join(dir, 'other-redis'), logFile: path.join(dir, 'other-redis.log') };
    const { url, part } = await startRedis({ program, password: 'secret', guard, ...files });
    const client = new Redis(url);
    await client.config('SET', name, value);
    client.disconnect();
    expect(await refusal({ REDIS_URL: url })).toMatch(sentence);
    await part.stop();
    await guard.close();
  });
});
