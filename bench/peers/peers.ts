/** How each peer starts, and the wire formats that the peer accepts. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from '@millrace/local/process/guard';
import { untilStarted } from '@millrace/local/process/node-program';
import { type Part, startPart } from '@millrace/local/process/part';
import { freePort } from '@millrace/local/process/ports';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import type { Requests } from '../requests.ts';
import { checkOne } from '../sample.ts';
import type { Rival } from '../stage.ts';
import type { Format } from '../tensors/formats.ts';
import { programOf } from './environments.ts';

export type PeerName = 'mosec' | 'mosec-raw' | 'litserve' | 'bentoml' | 'mlserver' | 'ray' | 'celery';

interface Address {
  port: number;
  model: string;
}

interface PeerPlan {
  /** The virtual environment of the peer. */
  environment: string;
  /** The program of the environment, and its arguments. */
  command(address: Address): [string, ...string[]];
  worker?: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
  needsRedis?: boolean;
  formats: Readonly<Partial<Record<Format, (model: string) => string>>>;
}

const infer = (model: string): string => `/v2/models/${model}/infer`;
const predict = (): string => '/predict';

const mosec = ({ port }: Address): [string, ...string[]] => [
  'python',
  'mosec_server.py',
  ...['--port', String(port), '--address', '127.0.0.1', '--timeout', '60000', '--log-level', 'warning'],
];

export const peerPlans: Readonly<Record<PeerName, PeerPlan>> = {
  mosec: { environment: 'mosec', command: mosec, formats: { x: () => '/inference' } },
  'mosec-raw': {
    environment: 'mosec',
    command: mosec,
    env: { FORMAT: 'raw' },
    formats: { raw: () => '/inference' },
  },
  litserve: { environment: 'litserve', command: () => ['python', 'litserve_server.py'], formats: { x: predict } },
  bentoml: {
    environment: 'bentoml',
    command: ({ port }) => ['bentoml', 'serve', 'bentoml_service:Mlp', '--host', '127.0.0.1', '--port', String(port)],
    env: { BENTOML_DO_NOT_TRACK: '1' },
    formats: { inputs: predict },
  },
  mlserver: {
    environment: 'mlserver',
    command: () => ['python', 'mlserver_start.py'],
    formats: { 'v2-json': infer },
  },
  ray: {
    environment: 'ray',
    command: () => ['python', 'ray_app.py'],
    env: { RAY_USAGE_STATS_ENABLED: '0' },
    formats: { x: () => '/' },
  },
  celery: {
    environment: 'celery',
    command: ({ port }) => [
      'uvicorn',
      'celery_api:app',
      ...['--host', '127.0.0.1', '--port', String(port), '--log-level', 'warning', '--no-access-log'],
    ],
    worker: [
      'celery',
      ...['-A', 'celery_tasks', 'worker', '-c', process.env.WORKERS ?? '2', '--loglevel=WARNING'],
      ...['--without-gossip', '--without-mingle', '-O', 'fair'],
    ],
    needsRedis: true,
    formats: { x: predict },
  },
};

const servers = path.join(import.meta.dirname, 'servers');
const startTimeoutMs = 150_000;
const password = 'bench';
/** Settings that the servers in Python read. */
const TUNING = ['WORKERS', 'BATCH', 'WAIT_MS', 'LATENCY_MS', 'SERVERS'];

export interface StartPeerParams {
  name: PeerName;
  model: string;
  modelsDir: string;
  /** Folder for the data and the logs of the peer. */
  dir: string;
  guard: Guard;
  say(message: string): void;
}

/** Starts a peer. The caller waits with `untilCorrect`. */
export async function startPeer({ name, model, modelsDir, dir, guard, say }: StartPeerParams): Promise<Rival> {
  const plan = peerPlans[name];
  const state = path.join(dir, `${name}-${model}`);
  await mkdir(state, { recursive: true });
  const parts: Rival['parts'] = [];
  const redis = plan.needsRedis
    ? await startRedis({
        program: await findOrInstallRedis(say),
        dataDir: path.join(state, 'redis'),
        logFile: path.join(state, 'redis.log'),
        password,
        guard,
      })
    : undefined;
  if (redis) parts.push({ role: 'redis', part: redis.part });
  const port = await freePort();
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    ...Object.fromEntries(TUNING.flatMap((setting) => (process.env[setting] ? [[setting, process.env[setting]]] : []))),
    MODEL: model,
    MODELS_DIR: modelsDir,
    PORT: String(port),
    PORT_2: String(await freePort()),
    PORT_3: String(await freePort()),
    STATE: state,
    BENTOML_HOME: state,
    PYTHONDONTWRITEBYTECODE: '1',
    OMP_NUM_THREADS: '1',
    OPENBLAS_NUM_THREADS: '1',
    ...(redis ? { REDIS_URL: `${redis.url}/0` } : {}),
    ...plan.env,
  };
  const launch = async (role: 'api' | 'worker', [program, ...args]: readonly [string, ...string[]]) => {
    const part = await startPart(guard, {
      name: `${name} ${role}`,
      command: programOf(plan.environment, program),
      args,
      cwd: servers,
      env,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 15_000,
      logFile: path.join(state, `${role}.log`),
    });
    parts.push({ role, part });
  };
  if (plan.worker) await launch('worker', plan.worker);
  await launch('api', plan.command({ port, model }));
  return peerRival(name, port, parts);
}

function peerRival(name: PeerName, port: number, parts: Rival['parts']): Rival {
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    port,
    parts,
    redisUrl: undefined,
    databaseUrl: undefined,
    metrics: undefined,
    stopWorker: async () => {},
    startWorker: async () => {},
    stop: async () => {
      for (const { part } of parts.toReversed()) await part.stop();
      parts.length = 0;
    },
  };
}

/** Resolves when the responses to the first two requests are correct. */
export async function untilCorrect({ url, name, parts }: Rival, requests: Requests): Promise<void> {
  const part = parts.at(-1)?.part as Part;
  const stopping = new AbortController();
  let missing = '';
  const poll = async () => {
    while (!stopping.signal.aborted) {
      try {
        for (const index of [0, 1]) await checkOne({ url, requests, echo: false }, index);
        return;
      } catch (error) {
        missing = `${name}: ${(error as Error).message}`;
      }
      await delay(200);
    }
  };
  try {
    await untilStarted(part, { started: poll(), timeoutMs: startTimeoutMs, missing: () => missing });
  } finally {
    stopping.abort();
  }
}
