import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { startServices } from '@millrace/local/services';
import type { GivenServers, TestServers } from './servers.ts';

/** Starts the servers of `npm start` on temporary data. */
export async function startEmbedded(given: GivenServers): Promise<TestServers> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-test-'));
  const guard = startGuard();
  const stop = async (parts: { stop(): Promise<unknown> }[]) => {
    await Promise.all(parts.map((part) => part.stop()));
    await guard.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const services = await startServices({ dir, guard, durable: false, say: console.log, ...given });
    const { redisUrl, databaseUrl, parts } = services;
    return { redisUrl, databaseUrl, stop: () => stop(parts) };
  } catch (error) {
    await stop([]);
    throw error;
  }
}
