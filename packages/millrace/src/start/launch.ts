/** Starts the parts of `npm start` in order, and ends all of them together. */
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { inMegabytes, machineMemory, type RedisMemory, redisMemory } from '@millrace/local/memory';
import { lockFolder } from '@millrace/local/process/folder-lock';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import type { Part } from '@millrace/local/process/part';
import { StartError } from '@millrace/local/process/start-error';
import { startServices } from '@millrace/local/services';
import { releaseMemory } from '@millrace/shared/process/release-memory';
import type { CommandNames } from '../local/command-names.ts';
import { writeServers } from '../local/local-servers.ts';
import { announce } from './announce.ts';
import { choosePort } from './choose-port.ts';
import { RestartingProgram, startProgram, untilOneEnds } from './programs.ts';
import { untilReady } from './readiness.ts';
import { checkQueue, migrateDatabase } from './servers.ts';
import { baseUrlOf, type StartSettings, versionNames } from './settings.ts';
import { Unserved } from './unserved.ts';

export interface LaunchOptions {
  root: string;
  settings: StartSettings;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  names: CommandNames;
  say: (message: string) => void;
}

type Services = Awaited<ReturnType<typeof startServices>> & { running: readonly RestartingProgram[] };
type Close = () => Promise<unknown>;

interface StartContext extends LaunchOptions {
  port: number;
  guard: Guard;
  memory: RedisMemory;
  /** `launch` calls the closers in reverse order. */
  closers: Close[];
}

interface Programs {
  worker: RestartingProgram;
  api: RestartingProgram;
  unserved: Unserved;
  versions: readonly string[];
}

/**
 * Runs Millrace until `signal` is aborted, and resolves when every part has ended. Rejects when a part cannot start; every other
 * part has ended then too. A part that ends by itself after the start starts again.
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

async function run(options: LaunchOptions, closers: Close[]): Promise<void> {
  const { settings, env, signal, names } = options;
  const { host, dir } = settings;
  const versions = versionsToServe(settings);
  await mkdir(path.join(dir, 'logs'), { recursive: true });
  // The worker watches this folder, also while the folder has no model.
  await mkdir(settings.modelsDir, { recursive: true });
  closers.push(await lockFolder(dir));
  const port = await choosePort({ host, port: settings.port, start: names.start });
  await keepPreviousLogs(path.join(dir, 'logs'));

  const guard = startGuard();
  closers.push(() => guard.close());
  const memory = redisMemory(env, machineMemory());
  const context: StartContext = { ...options, port, guard, memory, closers };
  const services = await startStores(context);
  signal.throwIfAborted();
  await migrateDatabase(services.databaseUrl);
  signal.throwIfAborted();
  const programs = await startPrograms(context, { services, versions });
  await runUntilInterrupted(context, { services, programs });
}

/** Returns the versions of the models folder as `model/version`. Throws when WORKER_MODELS names only models that are missing. */
function versionsToServe({ modelsDir, workerModels }: StartSettings): string[] {
  const versions = versionNames(modelsDir, workerModels);
  if (versions.length > 0 || workerModels.length === 0) return versions;
  throw new StartError(
    `There is no model of those in WORKER_MODELS (${workerModels.join(', ')}) in ${modelsDir}. Expected <name>/<version>/model.onnx. Add a model, or set MODELS_DIR.`,
  );
}

async function startStores({ settings, memory, guard, say, closers }: StartContext): Promise<Services> {
  if (settings.redisUrl) await checkQueue(settings.redisUrl);
  const services = await startServices({ ...settings, memory, guard, durable: true, say });
  const running = services.stores.map(({ part, startAgain }) => new RestartingProgram(startAgain, part));
  closers.push(() => Promise.all(running.map((store) => store.stop())));
  return { ...services, running };
}

/** Starts the worker, then the API. The API ends first, so that a worker still runs the predictions that the API accepted. */
async function startPrograms(
  { root, settings, env, port, guard, say, closers }: StartContext,
  { services, versions }: { services: Services; versions: readonly string[] },
): Promise<Programs> {
  const { host, modelsDir, dir } = settings;
  const programEnv: NodeJS.ProcessEnv = {
    ...env,
    HOST: host,
    PORT: String(port),
    REDIS_URL: services.redisUrl,
    CACHE_REDIS_URL: services.cacheRedisUrl,
    DATABASE_URL: services.databaseUrl,
    MODELS_DIR: modelsDir,
    FILES_URL: env.FILES_URL || path.join(dir, 'files'),
    // From the second start on, the compile cache saves a third of the processor time of a start.
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? path.join(dir, 'compile-cache'),
  };
  // The commands for models and keys read the addresses.
  closers.push(await writeServers(dir, programEnv));
  const options = { root, dir, guard, env: programEnv, show: say };
  const unserved = new Unserved(versions);
  const worker = await RestartingProgram.start(() =>
    startProgram('worker', options, (record) => unserved.read(record)),
  );
  closers.push(() => worker.stop());
  const api = await RestartingProgram.start(() => startProgram('api', options));
  closers.push(() => api.stop());
  return { worker, api, unserved, versions };
}

async function runUntilInterrupted(
  { settings, port, guard, memory, signal, names, say }: StartContext,
  { services, programs }: { services: Services; programs: Programs },
): Promise<void> {
  const { host, dir } = settings;
  const { worker, api, unserved, versions } = programs;
  const logs = path.join(dir, 'logs');
  // A program that dies during the start would die again. After the start, every program starts again by itself.
  const startFailed = untilOneEnds([worker.part, api.part], logs);
  const storeEnded = untilOneEnds(services.parts, logs);
  const guardEnded = guard.ended.then((): never => {
    throw new StartError(
      'The guard process was killed. Without the guard the other processes could outlive this process: stopping.',
    );
  });
  const noneServed = unserved.all.then((): never => {
    throw new StartError(['None of the models can be served:', ...unserved.lines()].join('\n'));
  });
  const interruptions = [guardEnded, untilAborted(signal)];
  const baseUrl = baseUrlOf(host, port);
  const words = memoryWords(services.parts, memory);
  const ready = Promise.all([untilReady(baseUrl, signal, versions.length > 0), services.onDisk])
    .then(() => announce({ ...settings, baseUrl, versions, unserved, memory: words, names, say }))
    .then(() => releaseMemory({ full: true }));
  // A promise that rejects after the race must not become an unhandled rejection.
  for (const promise of [ready, noneServed, startFailed, storeEnded, ...interruptions]) promise.catch(() => {});
  // After the announcement, a model that fails is only logged.
  await Promise.race([ready, noneServed, startFailed, storeEnded, ...interruptions]);
  const running = [...services.running, worker, api].map((program) => program.keepRunning(say));
  for (const promise of running) promise.catch(() => {});
  await Promise.race([...running, ...interruptions]).finally(() => say('Stopping.'));
}

/** Returns the memory limits of the private Redis servers in words; an empty text when the user brought both servers. */
function memoryWords(parts: readonly Part[], memory: RedisMemory): string {
  const words: Record<string, string> = {
    redis: `queue ${inMegabytes(memory.queue)} (QUEUE_MEMORY)`,
    cache: `cache ${inMegabytes(memory.cache)} (CACHE_MEMORY)`,
  };
  return parts.flatMap(({ name }) => words[name] ?? []).join(', ');
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(new Error('stop requested'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** Each start begins new logs, and keeps the logs of the previous run under another name. */
async function keepPreviousLogs(logs: string): Promise<void> {
  for (const name of ['api', 'worker', 'redis', 'cache', 'postgres']) {
    await rename(path.join(logs, `${name}.log`), path.join(logs, `${name}.previous.log`)).catch(() => {});
  }
}
