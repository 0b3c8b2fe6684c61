/**
 * Every Redis key of Millrace, in one place. All keys that one operation touches share a hash tag (`{s3}`), so that
 * Redis Cluster can hold them. A prefix keeps installations, and tests, apart.
 */
import { shardOfId } from '../predictions/ids.ts';

export interface Keys {
  /** The prefix of every key of a shard; ends in ':'. */
  tag(shard: number): string;
  /** Prefix for BullMQ's own keys of a shard's queues. */
  bull(shard: number): string;
  /** The live state of a prediction, with its task: see live/lib.lua. */
  live(id: string): string;
  /** A long result on its way into its prediction's live state, of one writer: see live/place.lua. */
  written(id: string, writer: string): string;
  /** Ids of the followers that wait for the result of a leader, a set. */
  followers(id: string): string;
  /** The prediction that computes a cache key now, the leader of the flight. */
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
  /** Terminal states that the recorder has to write, a stream. */
  ledger(shard: number): string;
  /** Ids whose ends the recorder writes singly, a sorted set by due time (Unix ms, the clock of Redis). */
  setAside(shard: number): string;
  /** For each id, the number of failed writes of its end, a hash. */
  setAsideTries(shard: number): string;
  /** Large states that the ledger has too, a sorted set by the time of recording. */
  recordedStates(shard: number): string;
  /** Exists as long as the shard keeps its data. Without this key the reconciler knows that the shard lost its data. */
  sentinel(shard: number): string;
  /** Number of unreadable live states of the shard that were discarded and that the reconciler has not counted yet. */
  unreadable(shard: number): string;
  /** Number of the format of the shard's data: see redis/format.ts. */
  format(shard: number): string;
  /** The lease of the process that reconciles now. */
  reconciler(): string;
  /** A cached result, on the cache Redis. 0.1.0 wrote `r:` keys without a checksum; neither version reads keys of the other. */
  result(cacheKey: string): string;
  /** A long cached result that one writer still writes, in the slot of the key of the result: see cache/long-values.ts. */
  resultWritten(resultKey: string, writer: string): string;
  /** A large row of a waiting caller, on the cache Redis: see queue/slot-reader.ts. */
  slot(name: string): string;
  /** A cached query, on the cache Redis. */
  query(name: string): string;
  /** An idempotency key, hashed, of a tenant. */
  idempotency(tenant: string, hashed: string): string;
  /** Heartbeat of a worker process. */
  worker(shard: number, workerId: string): string;
  /** The running workers, a hash by worker id: see queue/worker-list.ts. */
  workers(): string;
  /** Pub/sub channel that names the models of a shard that get work: see submit.lua. */
  workSignal(shard: number): string;
  /** Pub/sub channel that sends workers the predictions whose priority was raised: see job.ts. */
  liftChannel(): string;
  /** Pub/sub channel that announces registry changes. */
  registryChannel(): string;
  /** Pub/sub channel of every process that reads tasks as bytes: see queue/bytes-support.ts. No process publishes. */
  bytesChannel(): string;
  /** Pub/sub channel of every process that reads outputs from the ledger: see queue/output-readers.ts. No process publishes. */
  outputsChannel(): string;
  /** Pub/sub channel of the workers that read the slots of a machine: see queue/bytes-support.ts. No process publishes. */
  machineChannel(machine: string): string;
  /** Pub/sub channel of the workers that read slots of the cache Redis: see queue/bytes-support.ts. No process publishes. */
  cacheSlotsChannel(): string;
  /** A key that a process writes at an interval to prove that the process reaches the primary: see redis/write-probe.ts. */
  probe(shard: number, processId: string): string;
}

export function keysFor(prefix: string): Keys {
  const tag = (shard: number) => `${prefix}:{s${shard}}:`;
  return {
    tag,
    bull: (shard) => `${tag(shard)}q`,
    live: (id) => `${tag(shardOfId(id))}p:${id}`,
    written: (id, writer) => `${tag(shardOfId(id))}d:${id}:${writer}`,
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
    resultWritten: (resultKey, writer) => `${prefix}:w:{${resultKey}}:${writer}`,
    slot: (name) => `${prefix}:slot:${name}`,
    query: (name) => `${prefix}:c:${name}`,
    idempotency: (tenant, hashed) => `${prefix}:i:{${tenant}:${hashed}}`,
    worker: (shard, workerId) => `${tag(shard)}hb:${workerId}`,
    workers: () => `${prefix}:workers`,
    workSignal: (shard) => `${tag(shard)}bell`,
    liftChannel: () => `${prefix}:lifts`,
    registryChannel: () => `${prefix}:registry`,
    bytesChannel: () => `${prefix}:bytes`,
    outputsChannel: () => `${prefix}:outputs`,
    machineChannel: (machine) => `${prefix}:machine:${machine}`,
    cacheSlotsChannel: () => `${prefix}:cache-slots`,
    probe: (shard, processId) => `${tag(shard)}probe:${processId}`,
  };
}

const DIGEST = /^[0-9a-f]{64}$/;

/** Returns a SHA-256 in hex as 43 characters instead of 64, because each waiting prediction stores a digest. Other text stays. */
export const packDigest = (text: string): string =>
  DIGEST.test(text) ? Buffer.from(text, 'hex').toString('base64url') : text;

export const unpackDigest = (text: string): string =>
  text.length === 43 ? Buffer.from(text, 'base64url').toString('hex') : text;

/** The name of a flight in Redis: 144 bits of its cache key, so that nobody finds two inputs with the same name. */
export const flightName = (cacheKey: string): string =>
  DIGEST.test(cacheKey) ? packDigest(cacheKey).slice(0, 24) : cacheKey.slice(0, 40);
