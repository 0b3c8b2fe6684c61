import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withServers, writeServers } from './local-servers.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-servers-'));
});
afterEach(() => rm(dir, { recursive: true }));

const SERVERS = {
  REDIS_URL: 'redis://r',
  CACHE_REDIS_URL: 'redis://c',
  DATABASE_URL: 'postgres://p',
  MODELS_DIR: '/m',
};

test('a command uses the servers of the running npm start, unless its environment names servers', async () => {
  const env = { MILLRACE_DIR: dir };
  expect(withServers(env, '/')).toEqual(env);
  const remove = await writeServers(dir, { ...SERVERS, OTHER: 'x' });
  expect(withServers(env, '/')).toEqual({ ...SERVERS, ...env });
  expect(withServers({ ...env, MODELS_DIR: '/own' }, '/')).toMatchObject({ MODELS_DIR: '/own' });
  expect(withServers({ ...env, DATABASE_URL: 'postgres://own' }, '/')).not.toHaveProperty('REDIS_URL');
  expect((await stat(path.join(dir, 'servers.json'))).mode & 0o077).toBe(0);
  await remove();
  expect(withServers(env, '/')).toEqual(env);
});
