/** Starts a separate Redis for a test with special settings. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';

export interface OwnRedis {
  url: string;
  stop(): Promise<void>;
}

export async function startOwnRedis(settings: readonly string[]): Promise<OwnRedis> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'millrace-redis-'));
  const guard = startGuard();
  const program = await findOrInstallRedis(() => {});
  const logFile = path.join(dataDir, 'log');
  const server = await startRedis({ program, dataDir, logFile, password: 'pw', guard, settings });
  return {
    url: server.url,
    async stop() {
      await server.part.stop();
      await guard.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
