import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { inMegabytes, machineMemory, type RedisMemory, redisMemory } from '@millrace/local/memory';
import { lockFolder } from '@millrace/local/process/folder-lock';
import { startGuard } from '@millrace/local/process/guard';
import type { Part } from '@millrace/local/process/part';
import { freePort, isPortFree } from '@millrace/local/process/ports';
import { StartError } from '@millrace/local/process/start-error';
import { startServices } from '@millrace/local/services';
import { tellServers } from '../cli/local-servers.ts';
import { announce } from './announce.ts';
import { startProgram, untilOneEnds } from './programs.ts';
import { untilReady } from './readiness.ts';
import { checkQueue, migrateDatabase } from './servers.ts';
import { baseUrlOf, type StartSettings, versionNames } from './settings.ts';
import { Unserved } from './unserved.ts';

export interface LaunchOptions {
  root: string;
  settings: StartSettings;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  say: (message: string) => void;
}

type Close = () => Promise<unknown>;

/**
 * Runs all of Millrace from this folder until `signal` is aborted, and resolves when all of it has ended; rejects,
 * with nothing left running either, when a part of it cannot start or ends unasked.
 */
export async function launch(options: LaunchOptions): Promise<void> {
  const closers: Close[] = [];
  try {
    await run(options, closers);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function run({ root, settings, env, signal, say }: LaunchOptions, closers: Close[]): Promise<void> {
  const { host, modelsDir, dir, workerModels } = settings;
  const port = settings.port || (await freePort(host));
  const versions = versionNames(modelsDir, workerModels);
  if (versions.length === 0) {
    const which = workerModels.length > 0 ? ` of those in WORKER_MODELS (${workerModels.join(', ')})` : '';
    throw new StartError(
      `There is no model${which} in ${modelsDir}: it needs <name>/<version>/model.onnx, or set MODELS_DIR.`,
    );
  }
  await mkdir(path.join(dir, 'logs'), { recursive: true });
  closers.push(await lockFolder(dir));
  if (!(await isPortFree(host, port))) {
    throw new StartError(
      `Port ${port} of ${host} is taken by another program: stop it, or choose one with PORT=8081 npm start.`,
    );
  }
  await keepPreviousLogs(path.join(dir, 'logs'));

  const guard = startGuard();
  closers.push(() => guard.close());
  if (settings.redisUrl) await checkQueue(settings.redisUrl);
  const memory = redisMemory(env, machineMemory());
  const services = await startServices({ ...settings, memory, guard, durable: true, say });
  closers.push(() => stopAll(services.parts));
  signal.throwIfAborted();
  await migrateDatabase(services.databaseUrl);
  signal.throwIfAborted();

  const programEnv: NodeJS.ProcessEnv = {
    ...env,
    HOST: host,
    PORT: String(port),
    REDIS_URL: services.redisUrl,
    CACHE_REDIS_URL: services.cacheRedisUrl,
    DATABASE_URL: services.databaseUrl,
    MODELS_DIR: modelsDir,
    // Saves a third of the processor time of a start, from the second one on.
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? path.join(dir, 'compile-cache'),
  };
  // For `npm run models` and its like.
  closers.push(await tellServers(dir, programEnv));
  const programs = { root, dir, guard, env: programEnv, show: say };
  const unserved = new Unserved(versions);
  const worker = await startProgram('worker', programs, (record) => unserved.read(record));
  closers.push(() => worker.stop());
  // Ended first: what it has accepted still finds a worker.
  const api = await startProgram('api', programs);
  closers.push(() => api.stop());

  const ended = untilOneEnds([...services.parts, worker, api], path.join(dir, 'logs'));
  const guardEnded = guard.ended.then((): never => {
    throw new StartError('The guard process was killed, so nothing would end the others if this one were: stopping.');
  });
  const noneServed = unserved.all.then((): never => {
    throw new StartError(['None of the models can be served:', ...unserved.lines()].join('\n'));
  });
  const interruptions = [ended, guardEnded, untilAborted(signal)];
  const baseUrl = baseUrlOf(host, port);
  const ready = Promise.all([untilReady(baseUrl, signal), services.onDisk]).then(() =>
    announce({
      baseUrl,
      versions,
      unserved,
      dir,
      apiKeysRequired: settings.apiKeysRequired,
      memory: memoryWords(services.parts, memory),
      say,
    }),
  );
  // Whichever of these loses the race is still heard of here, and nowhere else.
  for (const promise of [ready, noneServed, ...interruptions]) promise.catch(() => {});
  // Once something was served, models that fail are for the log alone.
  await Promise.race([ready, noneServed, ...interruptions]);
  await Promise.race(interruptions).finally(() => say('Stopping.'));
}

/** What the private Redis servers may take; empty where both were brought. */
function memoryWords(parts: readonly Part[], memory: RedisMemory): string {
  const words: Record<string, string> = {
    redis: `queue ${inMegabytes(memory.queue)} (QUEUE_MEMORY)`,
    cache: `cache ${inMegabytes(memory.cache)} (CACHE_MEMORY)`,
  };
  return parts.flatMap(({ name }) => words[name] ?? []).join(', ');
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(new Error('asked to stop'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

function stopAll(parts: Part[]): Promise<unknown> {
  return Promise.all(parts.map((part) => part.stop()));
}

/** The logs begin anew at each start; those of the run before are kept beside them. */
async function keepPreviousLogs(logs: string): Promise<void> {
  for (const name of ['api', 'worker', 'redis', 'cache', 'postgres']) {
    await rename(path.join(logs, `${name}.log`), path.join(logs, `${name}.previous.log`)).catch(() => {});
  }
}
