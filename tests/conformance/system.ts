/** Starts Redis, Postgres, an API and a worker as processes, with a models folder and temporary data. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { startServices } from '@millrace/local/services';
import { migrate } from '@millrace/shared/postgres/migrate';
import { type Program, startProgram } from '../chaos/processes.ts';

export interface System {
  url: string;
  api: Program;
  worker: Program;
  /** The folder of the models and of all other files of the system. */
  dir: string;
  close(): Promise<void>;
}

/** `fill` writes the models to `dir`/models. */
export async function startSystem(
  fill: (modelsDir: string) => Promise<void>,
  more: Readonly<Record<string, string>> = {},
): Promise<System> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-conformance-'));
  const guard = startGuard();
  const closers: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true }), () => guard.close()];
  const close = async () => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const modelsDir = path.join(dir, 'models');
    await fill(modelsDir);
    const services = await startServices({ dir, guard, durable: false, say: console.log });
    for (const part of services.parts) closers.push(() => part.stop());
    await migrate(services.databaseUrl);
    const env = {
      REDIS_URL: services.redisUrl,
      CACHE_REDIS_URL: services.redisUrl,
      DATABASE_URL: services.databaseUrl,
      MODELS_DIR: modelsDir,
      ENGINES: '1',
      ...more,
    };
    const programs = await Promise.all(
      (['worker', 'api'] as const).map((kind) => startProgram(kind, { guard, dir, env })),
    );
    const [worker, api] = programs as [Program, Program];
    for (const program of programs) closers.push(() => program.stop());
    return { url: api.url, api, worker, dir, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface Indexed {
  name: string;
  version: string;
  state: string;
  reason: string;
}

export async function repositoryIndex(url: string): Promise<Indexed[]> {
  const response = await fetch(`${url}/v2/repository/index`, { method: 'POST' });
  return (await response.json()) as Indexed[];
}
