/** The memory of the servers of the queue Redis, and the server that has the keys of each shard. */
import type { Cluster } from 'ioredis';
import { SHARDS } from '../predictions/ids.ts';
import { type Connection, isCluster, serversOf } from './connection.ts';
import type { Keys } from './keys.ts';

export interface ServerMemory {
  /** Used part of maxmemory, or of the memory of the machine when maxmemory is not set; 1 means all. */
  share: number;
  /** Bytes that the server may use. */
  limitBytes: number;
}

export interface MemoryUse {
  /** The server, or every master of a cluster. */
  servers: readonly ServerMemory[];
  /** For each shard, the index in `servers` of the server that has the keys of the shard. */
  serverOf: readonly number[];
}

/** Returns the used part of the memory of the server, or of the fullest master of a cluster. */
export async function memoryShare(redis: Connection): Promise<number> {
  const servers = await Promise.all(serversOf(redis).map(async (server) => memoryOf(await server.info('memory'))));
  return Math.max(0, ...servers.map(({ share }) => share));
}

/** The `maxmemory` of the server in bytes, or of the smallest master of a cluster; 0 for none. */
export async function maxMemoryOf(redis: Connection): Promise<number> {
  const infos = await Promise.all(serversOf(redis).map((server) => server.info('memory')));
  return Math.min(...infos.map((info) => Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)));
}

export async function memoryUse(redis: Connection, keys: Keys): Promise<MemoryUse> {
  const nodes = serversOf(redis);
  const servers = await Promise.all(nodes.map(async (server) => memoryOf(await server.info('memory'))));
  if (!isCluster(redis)) return { servers, serverOf: new Array(SHARDS).fill(0) };
  const names = nodes.map(({ options }) => `${options.host}:${options.port}`);
  // While a slot moves, no server is known to have its keys: the fullest server stands for the unknown server.
  const fullest = servers.reduce((most, { share }, at) => (share > (servers[most]?.share ?? 0) ? at : most), 0);
  const slots = await slotsOf(redis, keys);
  const serverOf = slots.map((slot) => {
    const at = names.indexOf(redis.slots[slot]?.[0] ?? '');
    return at < 0 ? fullest : at;
  });
  return { servers, serverOf };
}

function memoryOf(info: string): ServerMemory {
  const used = Number(/^used_memory:(\d+)/m.exec(info)?.[1] ?? 0);
  const limitBytes =
    Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0) || Number(/^total_system_memory:(\d+)/m.exec(info)?.[1] ?? 0);
  return { share: limitBytes > 0 ? used / limitBytes : 0, limitBytes };
}

const slotsByCluster = new WeakMap<Cluster, { keys: Keys; slots: readonly number[] }>();

/** The slot of each shard: all keys of a shard have the same hash tag. The slots of a cluster are read once. */
async function slotsOf(cluster: Cluster, keys: Keys): Promise<readonly number[]> {
  const known = slotsByCluster.get(cluster);
  if (known?.keys === keys) return known.slots;
  const shards = Array.from({ length: SHARDS }, (_, shard) => keys.tag(shard));
  const slots = await Promise.all(shards.map((tag) => cluster.cluster('KEYSLOT', tag)));
  slotsByCluster.set(cluster, { keys, slots });
  return slots;
}
