/**
 * The format of the data on the queue Redis: a number that each shard stores, so that no process works on data in a format which
 * the process cannot read. The number changes at most with a minor version, and only when processes of the previous version cannot
 * work beside the new processes. The cache Redis needs no such marker, because each of its values names its format
 * (cache/checksum.ts).
 */
import { SHARDS } from '../predictions/ids.ts';
import type { Connection } from './connection.ts';
import { UnfitRedisError } from './connection.ts';
import type { Keys } from './keys.ts';
import { scriptOf } from './script.ts';

/**
 * 1: live states are strings (live/lib.lua, whose FORMAT is the same number). 0.1.0 wrote this format and no marker.
 * Before 0.1.0 live states were hashes, also without a marker. A script that finds such a state discards the state, and the
 * reconciler restores the prediction from the ledger.
 */
export const QUEUE_FORMAT = 1;

/**
 * KEYS: marker of a shard, its sentinel. ARGV: the format of this version. Returns the number in the marker, or '' without a marker
 * or for a marker that is no number. In one step, an older number is replaced and the sentinel is deleted. Without the sentinel,
 * the reconciler compares the whole ledger with Redis and restores the predictions of the older format. A process that is killed
 * before this step has changed nothing.
 */
const CLAIM = scriptOf(`
local have = redis.pcall('GET', KEYS[1])
local number = type(have) == 'string' and tonumber(have) or nil
if number and number >= tonumber(ARGV[1]) then return have end
if number then redis.call('DEL', KEYS[2]) end
redis.call('SET', KEYS[1], ARGV[1])
return number and have or ''`);

/** Claims every shard for the format of this version. Returns the highest newer format, or null without a newer format. */
async function claim(redis: Connection, keys: Keys): Promise<number | null> {
  const found = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) =>
      CLAIM(redis, 2, keys.format(shard), keys.sentinel(shard), QUEUE_FORMAT),
    ),
  );
  const highest = Math.max(...found.map(Number));
  return highest > QUEUE_FORMAT ? highest : null;
}

const newerText = (format: number): string =>
  `The queue Redis (REDIS_URL) holds data of format ${format}, and this version of Millrace reads formats up to ${QUEUE_FORMAT}: ` +
  'start the version that wrote the data, or a later one. To go back to this version, stop all processes and empty the queue ' +
  'Redis: the reconciler restores open promises from the ledger.';

/**
 * Marks the data on the queue Redis with the format of this version, and migrates data of an older format. Any number of processes
 * may call this function at the same time. Throws UnfitRedisError when the data has a newer format.
 */
export async function claimQueueFormat(redis: Connection, keys: Keys): Promise<void> {
  const newer = await claim(redis, keys);
  if (newer !== null) throw new UnfitRedisError(newerText(newer));
}

const WATCH_MS = 5_000;

export interface FormatWatch {
  /** Checks the format now instead of at the next interval. */
  check(): Promise<void>;
  close(): void;
}

/**
 * Checks the format at an interval, because a flush, a restored backup or a failover can replace the data. Sets a missing marker.
 * Calls `onNewer` once, with a sentence for the operator, when the data has a newer format.
 */
export function watchQueueFormat({
  redis,
  keys,
  onNewer,
}: {
  redis: Connection;
  keys: Keys;
  onNewer(sentence: string): void;
}): FormatWatch {
  let reported = false;
  async function check(): Promise<void> {
    // An unreachable Redis proves nothing about its format.
    const newer = await claim(redis, keys).catch(() => null);
    if (newer === null || reported) return;
    reported = true;
    onNewer(newerText(newer));
  }
  const timer = setInterval(() => void check(), WATCH_MS);
  timer.unref();
  return { check, close: () => clearInterval(timer) };
}
