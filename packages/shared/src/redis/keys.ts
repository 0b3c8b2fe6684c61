/**
 * Every Redis key of Millrace, in one place. All keys that one operation touches share a hash tag (`{s3}`), so that
 * Redis Cluster can hold them. A prefix keeps installations, and tests, apart.
 */
import { shardOfId } from '../predictions/ids.ts';

export interface Keys {
  /** What every key of a shard begins with; ends in ':'. */
  tag(shard: number): string;
  /** Prefix for BullMQ's own keys of a shard's queues. */
  bull(shard: number): string;
  /** Live state of a prediction, its task in it: see live/lib.lua. */
  live(id: string): string;
  /** A long result on its way into its prediction's live state: see live/place.lua. */
  written(id: string): string;
  /** Ids that wait for a leader's answer, a set. */
  followers(id: string): string;
  /** Which prediction computes a cache key now. */
  flight(shard: number, cacheKey: string): string;
  /** Counters of a model's queue, a hash: see lua/. */
  queueStats(shard: number, model: string): string;
  /** Mean bytes of an output of each model of a shard, a hash: see queue/output-sizes.ts. */
  outputSizes(shard: number): string;
  /** How many predictions with large outputs each worker runs, a hash: see queue/output-sizes.ts. */
  outputRuns(shard: number): string;
  /** Predictions of a model that others follow, a set: see queue/reserved-outputs.ts. */
  leaders(shard: number, model: string): string;
  /** Completion events of a shard, a stream. */
  events(shard: number): string;
  /** What the recorder is to write, a stream. */
  ledger(shard: number): string;
  /** Ids of ends that the recorder writes on their own, a sorted set by when each is due (Unix ms, the clock of Redis). */
  setAside(shard: number): string;
  /** Id to how often its end could not be written, a hash. */
  setAsideTries(shard: number): string;
  /** Large states that the ledger has too, a sorted set by when they were recorded. */
  recordedStates(shard: number): string;
  /** There as long as the shard keeps its data: its absence tells the reconciler that all was lost. */
  sentinel(shard: number): string;
  /** How many unreadable live states of the shard were discarded, until the reconciler has counted them. */
  unreadable(shard: number): string;
  /** Number of the format of the shard's data: see redis/format.ts. */
  format(shard: number): string;
  /** Whose turn it is to reconcile. */
  reconciler(): string;
  /** A cached result, on the cache Redis. Those of 0.1.0 are named `r:` and have no checksum: neither version reads the other's. */
  result(cacheKey: string): string;
  /** A cached query, on the cache Redis. */
  query(name: string): string;
  /** An idempotency key, hashed, of a tenant. */
  idempotency(tenant: string, hashed: string): string;
  /** Heartbeat of a worker process. */
  worker(shard: number, workerId: string): string;
  /** Pub/sub channel on which a shard's models are named when they get work: see submit.lua. */
  workSignal(shard: number): string;
  /** Pub/sub channel on which workers are told of predictions whose priority was raised: see job.ts. */
  liftChannel(): string;
  /** Pub/sub channel on which registry changes are told. */
  registryChannel(): string;
  /** Written again and again by a process to prove that it reaches the primary: see redis/write-probe.ts. */
  probe(shard: number, processId: string): string;
}

export function keysFor(prefix: string): Keys {
  const tag = (shard: number) => `${prefix}:{s${shard}}:`;
  return {
    tag,
    bull: (shard) => `${tag(shard)}q`,
    live: (id) => `${tag(shardOfId(id))}p:${id}`,
    written: (id) => `${tag(shardOfId(id))}d:${id}`,
    followers: (id) => `${tag(shardOfId(id))}w:${id}`,
    flight: (shard, cacheKey) => `${tag(shard)}f:${flightName(cacheKey)}`,
    queueStats: (shard, model) => `${tag(shard)}n:${model}`,
    outputSizes: (shard) => `${tag(shard)}out`,
    outputRuns: (shard) => `${tag(shard)}out-runs`,
    leaders: (shard, model) => `${tag(shard)}lead:${model}`,
    events: (shard) => `${tag(shard)}ev`,
    ledger: (shard) => `${tag(shard)}rec`,
    setAside: (shard) => `${tag(shard)}rec-aside`,
    setAsideTries: (shard) => `${tag(shard)}rec-tries`,
    recordedStates: (shard) => `${tag(shard)}rec-kept`,
    sentinel: (shard) => `${tag(shard)}kept`,
    unreadable: (shard) => `${tag(shard)}bad`,
    format: (shard) => `${tag(shard)}format`,
    reconciler: () => `${prefix}:reconciler`,
    result: (cacheKey) => `${prefix}:r2:${cacheKey}`,
    query: (name) => `${prefix}:c:${name}`,
    idempotency: (tenant, hashed) => `${prefix}:i:{${tenant}:${hashed}}`,
    worker: (shard, workerId) => `${tag(shard)}hb:${workerId}`,
    workSignal: (shard) => `${tag(shard)}bell`,
    liftChannel: () => `${prefix}:lifts`,
    registryChannel: () => `${prefix}:registry`,
    probe: (shard, processId) => `${tag(shard)}probe:${processId}`,
  };
}

const DIGEST = /^[0-9a-f]{64}$/;

/** A SHA-256 in hex as 43 characters instead of 64: a waiting prediction is paid for by the byte. Other text stays. */
export const packDigest = (text: string): string =>
  DIGEST.test(text) ? Buffer.from(text, 'hex').toString('base64url') : text;

export const unpackDigest = (text: string): string =>
  text.length === 43 ? Buffer.from(text, 'base64url').toString('hex') : text;

/** What a flight is called in Redis: 144 bits of its cache key, so that nobody finds two questions that share one. */
export const flightName = (cacheKey: string): string =>
  DIGEST.test(cacheKey) ? packDigest(cacheKey).slice(0, 24) : cacheKey.slice(0, 40);
