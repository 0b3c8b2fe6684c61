import { readdirSync } from 'node:fs';
import path from 'node:path';
import { StartError } from '@millrace/local/start-error';

export interface StartSettings {
  host: string;
  port: number;
  modelsDir: string;
  /** Where data and logs are kept. */
  dir: string;
  redisUrl?: string;
  cacheRedisUrl?: string;
  databaseUrl?: string;
}

/** What `npm start` itself reads from the environment; API and worker read the rest, and say what is wrong with it. */
export function startSettings(env: NodeJS.ProcessEnv, root: string): StartSettings {
  const port = Number(env.PORT || 8080);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new StartError(`PORT must be a number from 1 to 65535, and is ${JSON.stringify(env.PORT)}.`);
  }
  return {
    host: env.HOST || '127.0.0.1',
    port,
    modelsDir: path.resolve(root, env.MODELS_DIR || 'models'),
    dir: path.resolve(root, env.MILLRACE_DIR || '.millrace'),
    redisUrl: env.REDIS_URL || undefined,
    cacheRedisUrl: env.CACHE_REDIS_URL || undefined,
    databaseUrl: env.DATABASE_URL || undefined,
  };
}

/** The names of the models in a model repository: the folders that hold a version with a model.onnx. */
export function modelNames(modelsDir: string): string[] {
  return folders(modelsDir).filter((name) =>
    folders(path.join(modelsDir, name)).some((version) => holdsModel(path.join(modelsDir, name, version))),
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
