/** The settings of `npm start`. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '@millrace/shared/process/config';

export interface StartSettings {
  host: string;
  /** 0 for any free port. */
  port: number;
  modelsDir: string;
  /** The models that the worker serves; empty for all models. */
  workerModels: readonly string[];
  apiKeysRequired: boolean;
  /** Whether the API serves the console. */
  hasConsole: boolean;
  /** Whether edited files are served as versions of their own. */
  watches: boolean;
  /** The folder of data and logs. */
  dir: string;
  redisUrl?: string;
  cacheRedisUrl?: string;
  databaseUrl?: string;
}

/**
 * Returns the settings that `npm start` uses. Every setting is checked here, so that a ConfigError appears before API and
 * worker start. The URL of a server without a variable is undefined: `npm start` starts that server.
 */
export function startSettings(env: NodeJS.ProcessEnv, root: string): StartSettings {
  const {
    host,
    port,
    modelsDir,
    workerModels,
    apiKeysRequired,
    console: hasConsole,
    watchModels: watches,
  } = loadConfig(env);
  return {
    host,
    port,
    modelsDir: path.resolve(root, modelsDir),
    workerModels,
    apiKeysRequired,
    hasConsole,
    watches,
    dir: path.resolve(root, env.MILLRACE_DIR || '.millrace'),
    redisUrl: env.REDIS_URL || undefined,
    cacheRedisUrl: env.CACHE_REDIS_URL || undefined,
    databaseUrl: env.DATABASE_URL || undefined,
  };
}

/** Returns the URL at which a client on this machine reaches the API. `host` may stand for all addresses. */
export function baseUrlOf(host: string, port: number): string {
  const near = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  return `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
}

/** Returns each version folder that has a model.onnx, as `model/version`. `only` limits the result to some models. */
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
