/** The stage of a fault: its own database and key prefix, API and workers, and the ledger client. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { migrate } from '@millrace/shared/postgres/migrate';
import { keysFor } from '@millrace/shared/redis/keys';
import { Redis } from 'ioredis';
import pg from 'pg';
import { asAdmin, urlOfDatabase } from '../services/template.ts';
import { LedgerClient } from './client.ts';
import { type Program, ROOT, startProgram } from './processes.ts';
import type { Servers } from './servers.ts';

export interface Stage {
  servers: Servers;
  env: Readonly<Record<string, string>>;
  /** The root of the code whose programs are started from now on. */
  root: string;
  keys: ReturnType<typeof keysFor>;
  databaseUrl: string;
  client: LedgerClient;
  apis: Program[];
  workers: Program[];
  startApi(env?: Readonly<Record<string, string>>): Promise<Program>;
  startWorker(env?: Readonly<Record<string, string>>): Promise<Program>;
  /** Uses a direct connection that bypasses the proxy. */
  sql<T>(text: string, values?: unknown[]): Promise<T[]>;
  withRedis<T>(work: (redis: Redis) => Promise<T>): Promise<T>;
  /** Resolves when every API serves every model. */
  untilServed(): Promise<void>;
  /** After the check of the ledger, restores state that the next stage needs. */
  atEnd(work: () => Promise<void>): void;
  close(): Promise<void>;
}

// The witness table gets a row whenever a prediction becomes terminal or its terminal state changes. A clean ledger has
// one row for each opening of a prediction.
const WITNESS = `
  CREATE TABLE chaos_ends (id uuid, opening int, status text, at timestamptz DEFAULT clock_timestamp());
  CREATE FUNCTION chaos_witness() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF NEW.status NOT IN ('queued', 'running') AND (TG_OP = 'INSERT' OR OLD.status IS DISTINCT FROM NEW.status
        OR OLD.result IS DISTINCT FROM NEW.result) THEN
      INSERT INTO chaos_ends (id, opening, status) VALUES (NEW.id, NEW.opening, NEW.status);
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER chaos_witness AFTER INSERT OR UPDATE ON predictions FOR EACH ROW EXECUTE FUNCTION chaos_witness();`;

export interface StageSettings {
  apis?: number;
  workers?: number;
  env?: Readonly<Record<string, string>>;
  /** The root of another version's code, with its migrations, for the start. */
  root?: string;
  /** Models to wait for. The default is the models of models.ts. */
  models?: readonly string[];
}

export async function openStage(servers: Servers, settings: StageSettings = {}): Promise<Stage> {
  const name = `chaos_${randomBytes(4).toString('hex')}`;
  const direct = () => urlOfDatabase(servers.postgres.directUrl, name);
  await asAdmin(servers.postgres.directUrl, `CREATE DATABASE ${name}`);
  await migrate(direct(), settings.root === undefined ? {} : { dir: path.join(settings.root, 'migrations') });
  await asAdmin(direct(), WITNESS);
  const prefix = `c${randomBytes(3).toString('hex')}`;
  const env = {
    REDIS_URL: servers.redis.url,
    CACHE_REDIS_URL: servers.cache.url,
    DATABASE_URL: urlOfDatabase(servers.postgres.url, name),
    KEY_PREFIX: prefix,
    MODELS_DIR: path.join(servers.dir, 'models'),
    ENGINES: '1',
    SHUTDOWN_MS: '10000',
    ...settings.env,
  };
  const apis: Program[] = [];
  const workers: Program[] = [];
  const ends: (() => Promise<void>)[] = [];
  const start = async (kind: 'api' | 'worker', list: Program[], more: Readonly<Record<string, string>> = {}) => {
    const program = await startProgram(kind, { ...servers, env: { ...env, ...more }, root: stage.root });
    list.push(program);
    void program.exited.then(() => list.splice(list.indexOf(program), 1));
    return program;
  };
  const stage: Stage = {
    servers,
    env,
    root: settings.root ?? ROOT,
    keys: keysFor(prefix),
    databaseUrl: env.DATABASE_URL,
    client: new LedgerClient(() => apis.filter(({ leaving }) => !leaving).map(({ url }) => url)),
    apis,
    workers,
    startApi: (more) => start('api', apis, more),
    startWorker: (more) => start('worker', workers, more),
    async sql<T>(text: string, values: unknown[] = []) {
      const connection = new pg.Client({ connectionString: direct() });
      await connection.connect();
      try {
        return (await connection.query(text, values)).rows as T[];
      } finally {
        await connection.end();
      }
    },
    async withRedis(work) {
      const redis = new Redis(servers.redis.directUrl, { maxRetriesPerRequest: 3 });
      redis.on('error', () => {});
      try {
        return await work(redis);
      } finally {
        redis.disconnect();
      }
    },
    untilServed: () => untilServed(stage, settings.models ?? MODELS),
    atEnd: (work) => void ends.push(work),
    async close() {
      await Promise.allSettled([...apis, ...workers].map((program) => program.kill()));
      for (const end of ends) await end();
      await asAdmin(servers.postgres.directUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
  // A worker registers the models, and the API is ready when one model is ready.
  await Promise.all(Array.from({ length: settings.workers ?? 1 }, () => stage.startWorker()));
  await Promise.all(Array.from({ length: settings.apis ?? 1 }, () => stage.startApi()));
  await stage.untilServed();
  return stage;
}

const MODELS = ['quick', 'slow', 'lookup'];

async function untilServed({ apis }: Stage, models: readonly string[]): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (const { url } of apis)
    for (const model of models) {
      for (;;) {
        const body = (await fetch(`${url}/v1/models/${model}`).then((response) => response.json())) as {
          default_version?: string | null;
        };
        if (body.default_version) break;
        if (performance.now() > deadline) throw new Error(`'${model}' was not served: ${JSON.stringify(body)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
}
