/** Tests the writer of slots in the cache Redis on a real Redis. */

import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import type { SlotRow, Task } from '@millrace/shared/predictions/task';
import { readTask, storedTask } from '@millrace/shared/predictions/task';
import { SlotReader } from '@millrace/shared/queue/slot-reader';
import { connectRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import { tensorRowBytes } from '@millrace/shared/tensors/tensor-bytes';
import type { Redis } from 'ioredis';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { CacheSlotWriter } from '../../apps/api/src/queue/cache-slot-writer.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';

const keys = keysFor('writer');
const MIB = 1_048_576;
let server: OwnRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startOwnRedis(['maxmemory 8mb', 'maxmemory-policy allkeys-lru', 'appendonly no']);
  redis = connectRedis(server.url, 'blocking') as Redis;
});
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

interface Opened {
  limitBytes?: number;
  isWritable?: () => boolean;
  connection?: Redis | undefined;
}

/** A writer that has read the memory of the server. */
async function open({
  limitBytes = 64 * MIB,
  isWritable = () => true,
  ...rest
}: Opened = {}): Promise<CacheSlotWriter> {
  const connection = 'connection' in rest ? rest.connection : redis;
  const writer = new CacheSlotWriter({
    redis: connection,
    keys,
    limitBytes,
    isWritable,
    log: pino({ enabled: false }),
  });
  await writer.readLimit();
  return writer;
}

const reader = () => new SlotReader({ open: async () => redis, keys, onError() {} });

const TTL_MS = 60_000;

test('a row in pieces is read as written, and is gone after its release', async () => {
  const writer = await open();
  const pieces = [Buffer.alloc(70_000, 1), Buffer.from('ü\r\n$5'), Buffer.alloc(0), Buffer.alloc(90_000, 2)];
  const slot = (await writer.write(new BytePieces(pieces), TTL_MS)) as SlotRow;
  expect(slot.bytes).toBe(160_006);
  expect(await reader().read(slot)).toEqual(Buffer.concat(pieces));
  expect(await redis.pttl(keys.slot(slot.slot))).toBeGreaterThan(50_000);
  expect(writer.bytes).toBe(160_006);
  writer.release(slot, 0);
  expect(writer.bytes).toBe(0);
  expect(await reader().read(slot)).toBeUndefined();
});

test('many rows at once keep their bytes', async () => {
  const writer = await open();
  const rows = Array.from({ length: 16 }, (_, n) => Buffer.alloc(100_000 + n, n));
  const slots = await Promise.all(rows.map((row) => writer.write(row, TTL_MS)));
  const read = await Promise.all(slots.map((slot) => slot && reader().read(slot)));
  expect(read.every((row, at) => row?.equals(rows[at] as Buffer))).toBe(true);
  for (const slot of slots) if (slot) writer.release(slot, 0);
});

test('a process takes at most a quarter of the memory of the server, or its own limit', async () => {
  const writer = await open();
  const first = await writer.write(Buffer.alloc(2 * MIB - 10), TTL_MS);
  expect(await writer.write(Buffer.alloc(11), TTL_MS)).toBeUndefined();
  const second = await writer.write(Buffer.alloc(10), TTL_MS);
  expect(writer.bytes).toBe(2 * MIB);
  for (const slot of [first, second]) if (slot) writer.release(slot, 0);
  const small = await open({ limitBytes: 100 });
  expect(await small.write(Buffer.alloc(101), TTL_MS)).toBeUndefined();
  expect(await small.write(Buffer.alloc(100), TTL_MS)).toMatchObject({ bytes: 100 });
});

test.each<[string, Opened]>([
  ['the cache shares the server of the queue', { connection: undefined }],
  ['the limit is zero', { limitBytes: 0 }],
  ['the cache Redis takes no writes', { isWritable: () => false }],
])('no row is written while %s', async (_, given) => {
  const writer = await open(given);
  expect(await writer.write(Buffer.alloc(10), TTL_MS)).toBeUndefined();
  expect(writer.bytes).toBe(0);
});

test('a slot that is released later counts until then', async () => {
  const writer = await open();
  const slot = (await writer.write(Buffer.alloc(10), 600_000)) as SlotRow;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  writer.release(slot, TTL_MS);
  expect(await redis.pttl(keys.slot(slot.slot))).toBeLessThanOrEqual(TTL_MS);
  expect(writer.bytes).toBe(10);
  vi.advanceTimersByTime(TTL_MS);
  expect(writer.bytes).toBe(0);
});

test('after a refused write, and after a lost row, rows take the other way for a while', async () => {
  const failing = connectRedis(server.url, 'producer', { timeoutMs: 1_000 }) as Redis;
  await vi.waitUntil(() => failing.status === 'ready');
  const writer = await open({ connection: failing });
  failing.disconnect();
  expect(await writer.write(Buffer.alloc(10), TTL_MS)).toBeUndefined();
  expect(writer.bytes).toBe(0);
  const other = await open();
  vi.useFakeTimers({ toFake: ['performance'] });
  other.lost();
  expect(await other.write(Buffer.alloc(10), TTL_MS)).toBeUndefined();
  vi.advanceTimersByTime(30_001);
  expect(await other.write(Buffer.alloc(10), TTL_MS)).toMatchObject({ bytes: 10 });
});

test.each(['stays', 'is lost'])(
  'the memory of a row is free after a time-out, also where the connection %s',
  async (fate) => {
    const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
    const connection = connectRedis(server.url, 'producer', { timeoutMs: 1_000 }) as Redis;
    await vi.waitUntil(() => connection.status === 'ready');
    const writer = await open({ connection });
    // More bytes than the kernel keeps for a server that does not read.
    const row = new BytePieces(Array.from({ length: 24 }, () => Buffer.allocUnsafeSlow(65_536).fill('\r\nSET')));
    const { stream } = connection;
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await writer.write(row, TTL_MS)).toBeUndefined();
      row.release(freeBytes);
      if (fate === 'is lost') stream.destroy();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await vi.waitUntil(() => connection.status === 'ready' && connection.stream !== stream);
    expect(await connection.set('after', 'value')).toBe('OK');
    expect(await connection.get('after')).toBe('value');
    expect(writer.bytes).toBe(0);
    connection.disconnect();
  },
);

test('a row that Redis takes after the time-out is deleted later', async () => {
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
  const connection = connectRedis(server.url, 'producer', { timeoutMs: 1_000 }) as Redis;
  await vi.waitUntil(() => connection.status === 'ready');
  await redis.flushall();
  const writer = await open({ connection });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  process.kill(pid, 'SIGSTOP');
  try {
    // The kernel keeps all bytes until the server reads.
    expect(await writer.write(Buffer.alloc(100), TTL_MS)).toBeUndefined();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await vi.waitUntil(async () => (await redis.dbsize()) === 1);
  await vi.waitUntil(() => connection.status === 'ready' && connection.stream.writable);
  vi.advanceTimersByTime(30_000);
  await vi.waitUntil(async () => (await redis.dbsize()) === 0);
  connection.disconnect();
});

const task = (rows: Task['rows']): Task => ({
  shape: 'one',
  rows,
  keys: rows.map(() => null),
  digest: 'a'.repeat(64),
  epoch: 0,
});

test('a stored task is made whole only if every row is there', async () => {
  const writer = await open();
  const row = Buffer.alloc(100, 3);
  const slot = (await writer.write(row, TTL_MS)) as SlotRow;
  const short = tensorRowBytes({ x: { dtype: 'int64', dims: [1], data: new BigInt64Array([7n]) } });
  const stored = storedTask(task([slot, short]), true);
  expect(readTask(await reader().whole(stored))?.rows).toEqual([row, short]);
  expect(await reader().read({ ...slot, bytes: 99 })).toBeUndefined();
  writer.release(slot, 0);
  expect(await reader().whole(stored)).toBe(stored);
  const text = storedTask(task(['1']), false);
  expect(await reader().whole(text)).toBe(text);
});

test('a reader whose connection cannot be opened tries again at the next row', async () => {
  const errors: unknown[] = [];
  let opens = 0;
  const late = new SlotReader({
    async open() {
      opens += 1;
      if (opens === 1) throw new Error('refused');
      return redis;
    },
    keys,
    onError: (error) => errors.push(error),
  });
  const writer = await open();
  const slot = (await writer.write(Buffer.alloc(10, 7), TTL_MS)) as SlotRow;
  expect(await late.read(slot)).toBeUndefined();
  expect(errors).toEqual([new Error('refused')]);
  expect(await late.read(slot)).toEqual(Buffer.alloc(10, 7));
  expect(await late.read(slot)).toEqual(Buffer.alloc(10, 7));
  expect(opens).toBe(2);
});
