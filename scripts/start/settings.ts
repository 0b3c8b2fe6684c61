import { readdirSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '@millrace/shared/process/config';

export interface StartSettings {
  host: string;
  /** 0 for any that is free. */
  port: number;
  modelsDir: string;
  /** The models that the worker keeps to; empty for all. */
  workerModels: readonly string[];
  apiKeysRequired: boolean;
  /** Where data and logs are kept. */
  dir: string;
  redisUrl?: string;
  cacheRedisUrl?: string;
  databaseUrl?: string;
}

/**
 * What `npm start` itself needs of the environment, which is checked whole: a ConfigError here spares API and worker
 * theirs. A server that no variable names is undefined, and started.
 */
export function startSettings(env: NodeJS.ProcessEnv, root: string): StartSettings {
  const { host, port, modelsDir, workerModels, apiKeysRequired } = loadConfig(env);
  return {
    host,
    port,
    modelsDir: path.resolve(root, modelsDir),
    workerModels,
    apiKeysRequired,
    dir: path.resolve(root, env.MILLRACE_DIR || '.millrace'),
    redisUrl: env.REDIS_URL || undefined,
    cacheRedisUrl: env.CACHE_REDIS_URL || undefined,
    databaseUrl: env.DATABASE_URL || undefined,
  };
}

/** Where a client on this machine reaches an API that listens on `host`, which may be all addresses. */
export function baseUrlOf(host: string, port: number): string {
  const near = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  return `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
}

/** What a model repository has, as `model/version`: the folders that hold a model.onnx. `only` narrows to some models. */
export function versionNames(modelsDir: string, only: readonly string[] = []): string[] {
  const models = folders(modelsDir).filter((model) => only.length === 0 || only.includes(model));
  return models.flatMap((model) =>
    folders(path.join(modelsDir, model))
      .filter((version) => holdsModel(path.join(modelsDir, model, version)))
      .map((version) => `${model}/${version}`),
  );
}

function holdsModel(folder: string): boolean {
  return readdirSync(folder).includes('model.onnx');
}

function folders(dir: string): string[] {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
