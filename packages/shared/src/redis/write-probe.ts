/**
 * Proves by a write, twice a second and on its own connection, that this process reaches the primary of a Redis. When the probe
 * finds the primary at another server than before, the group replaces every connection of the process. Otherwise subscribers and
 * blocked readers would wait forever on the demoted server, without an error.
 */
import { Cluster, type Redis } from 'ioredis';
import { SHARDS } from '../predictions/ids.ts';
import type { Connection } from './connection.ts';
import type { ConnectionGroup } from './connection-group.ts';
import type { Keys } from './keys.ts';
import { missingPermission } from './permissions.ts';
import { codeOf, explainRedisFault, isRefusal, isWrongServer, NAME_OF, type RedisIdentity } from './redis-fault.ts';

const INTERVAL_MS = 500;
/** While writes are refused: the pause until the probe connects again, because the address may lead to another server by then. */
const REFUSED_INTERVAL_MS = 250;
const KEPT_MS = 60_000;
/** How long a write waits for a connection that was just dropped. Shorter than the time limit of a readiness check. */
const RECONNECT_MS = 600;

export interface WriteProbeDeps {
  identity: RedisIdentity;
  keys: Keys;
  /** Unique to this process: two processes never write the same probe key. */
  processId: string;
  /** Opens the probe's own connection, without a ready check: a server that loads its data must refuse the write at once. */
  connect(onError: (error: Error) => void): Connection;
  group: ConnectionGroup;
  /** Called when the state changes: with a sentence when writes fail, with undefined when writes succeed again. */
  onChange(fault: string | undefined): void;
  /** Receives the duration of each write in milliseconds, with its error if the write failed. */
  onProbe(ms: number, error: Error | undefined): void;
}

export class WriteProbe {
  readonly #deps: WriteProbeDeps;
  readonly #redis: Connection;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #proven = false;
  #fault: string | undefined;
  #refusal: Error | undefined;
  /** performance.now() of the last reply from a wrong server; undefined after the connections were replaced. */
  #suspectAt: number | undefined;
  #connectedAt = 0;
  #runId: string | undefined;
  #provenAt = -1;
  #permissions: 'unknown' | 'granted' = 'unknown';
  #connectionError: Error | undefined;
  /** False as soon as the connection was dropped. The status of the connection changes later. */
  #usable = false;

  constructor(deps: WriteProbeDeps) {
    this.#deps = deps;
    this.#redis = deps.connect((error) => {
      this.#connectionError = error;
    });
    this.#redis.on('connect', () => {
      this.#connectionError = undefined;
      this.#connectedAt = performance.now();
    });
    this.#redis.on('ready', () => {
      this.#usable = true;
    });
    this.#redis.on('close', () => {
      this.#usable = false;
    });
    this.#schedule(0);
  }

  /** False while Redis refuses writes or commands that Millrace needs. True while Redis is unreachable. */
  get writable(): boolean {
    return this.#refusal === undefined;
  }

  /** Whether the last write succeeded. False before the first write. */
  get proven(): boolean {
    return this.#proven;
  }

  /** The error reply of the last write, if the reply was a refusal. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  /** Writes now, or waits for a write that is in progress. Rejects with a sentence for operators when the write fails. */
  async prove(): Promise<void> {
    await this.#probe();
    if (this.#fault !== undefined) throw new Error(this.#fault);
  }

  /** Reports a refusal on another connection of the group: the server is not the primary, or the user lacks a permission. */
  suspect(error: Error): void {
    if (isWrongServer(error)) this.#suspectAt = performance.now();
    else this.#permissions = 'unknown';
    this.#schedule(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#redis.disconnect();
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#probe(), ms);
    this.#timer.unref();
  }

  #probe(): Promise<void> {
    this.#running ??= this.#attempt().finally(() => {
      this.#running = undefined;
      this.#schedule(this.#fault === undefined ? INTERVAL_MS : REFUSED_INTERVAL_MS);
    });
    return this.#running;
  }

  async #attempt(): Promise<void> {
    const startedAt = performance.now();
    try {
      if (!this.#usable) await this.#reconnected();
      await this.#write();
      if (this.#permissions === 'unknown') await this.#checkPermissions();
      this.#deps.onProbe(performance.now() - startedAt, undefined);
      await this.#replaceIfMoved(startedAt);
      this.#report(undefined, undefined);
    } catch (error) {
      this.#deps.onProbe(performance.now() - startedAt, errorOf(error));
      this.#failed(errorOf(error));
    }
  }

  /** Resolves when the connection is ready, or after RECONNECT_MS: the write then fails with the cause. */
  #reconnected(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#redis.off('ready', done);
        resolve();
      };
      const timer = setTimeout(done, RECONNECT_MS);
      this.#redis.once('ready', done);
    });
  }

  async #write(): Promise<void> {
    const { keys, processId } = this.#deps;
    const write = (shard: number) => this.#redis.set(keys.probe(shard, processId), '1', 'PX', KEPT_MS);
    try {
      // One master of a cluster may be unreachable while the other masters serve.
      if (this.#redis instanceof Cluster) await Promise.any(Array.from({ length: SHARDS }, (_, shard) => write(shard)));
      else await write(0);
    } catch (error) {
      const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
      // A full queue Redis is the right server: admission refuses new work, and all other work continues.
      if (codeOf(first) !== 'OOM' || this.#deps.identity.setting !== 'REDIS_URL') throw first;
    }
  }

  async #checkPermissions(): Promise<void> {
    const { keys, processId, identity } = this.#deps;
    const missing = await missingPermission(this.#redis, identity.setting, keys.probe(0, processId));
    if (missing) throw missing.error;
    this.#permissions = 'granted';
  }

  async #replaceIfMoved(startedAt: number): Promise<void> {
    let moved = false;
    if (this.#provenAt < this.#connectedAt && !(this.#redis instanceof Cluster)) {
      const runId = await runIdOf(this.#redis);
      moved = runId !== undefined && this.#runId !== undefined && runId !== this.#runId;
      this.#runId = runId ?? this.#runId;
    }
    this.#provenAt = startedAt;
    if (!moved && this.#suspectAt === undefined) return;
    const since = Math.max(this.#connectedAt, this.#suspectAt ?? 0);
    this.#suspectAt = undefined;
    this.#deps.group.replaceOlderThan(since);
  }

  #failed(error: Error): void {
    const { identity } = this.#deps;
    if (isRefusal(error)) {
      if (isWrongServer(error)) this.#suspectAt = performance.now();
      this.#report(explainRedisFault(error, identity), error);
    } else {
      const cause = this.#connectionError ?? error;
      this.#report(explainAbsence(identity, cause), undefined);
    }
    // A new connection may lead to another server. A new connection does not help against an ACL.
    if (codeOf(error) === 'NOPERM' || this.#redis instanceof Cluster || !this.#usable) return;
    this.#usable = false;
    this.#redis.disconnect(true);
  }

  #report(fault: string | undefined, refusal: Error | undefined): void {
    const changed = fault !== this.#fault || (fault === undefined && !this.#proven);
    this.#proven = fault === undefined;
    this.#fault = fault;
    this.#refusal = refusal;
    if (changed && !this.#closed) this.#deps.onChange(fault);
  }
}

function explainAbsence(identity: RedisIdentity, error: Error): string {
  const code = codeOf(error);
  if (code === 'NOAUTH' || code === 'WRONGPASS') return explainRedisFault(error, identity);
  return `${NAME_OF[identity.setting]} does not respond (${error.message || error.name}). Expected a server at the address. Start the server, or correct ${identity.setting}.`;
}

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** Identifies a server process; undefined when the user may not run INFO. */
async function runIdOf(redis: Redis): Promise<string | undefined> {
  try {
    return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
  } catch (error) {
    if (codeOf(error) === 'NOPERM') return undefined;
    throw error;
  }
}
