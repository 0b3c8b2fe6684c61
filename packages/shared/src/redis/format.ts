/**
 * The format of the data on the queue Redis: a number that each shard carries, so that a process never works on data that it
 * misreads. The number changes with a minor version at most, and only when processes of the version before cannot work
 * beside the new ones. The cache Redis needs no such marker: each of its values tells its format (cache/checksum.ts).
 */
import { SHARDS } from '../predictions/ids.ts';
import type { Connection } from './connection.ts';
import { UnfitRedisError } from './connection.ts';
import type { Keys } from './keys.ts';

/**
 * 1: live states as strings (live/lib.lua, whose FORMAT is the same number). 0.1.0 wrote this format and no marker.
 * Before 0.1.0 live states were hashes, also without a marker: each is discarded where it is met, and the reconciler brings
 * the prediction back from the ledger.
 */
export const QUEUE_FORMAT = 1;

/**
 * KEYS: marker of a shard, its sentinel. ARGV: our format. Returns the number that stood there: '' for none, or for a marker
 * that is no number. An older number becomes ours, and the sentinel goes with it in one step: its absence has the reconciler
 * look through the whole ledger, and bring back what the older format had. Whoever is killed before has changed nothing.
 */
const CLAIM = `
local have = redis.pcall('GET', KEYS[1])
local number = type(have) == 'string' and tonumber(have) or nil
if number and number >= tonumber(ARGV[1]) then return have end
if number then redis.call('DEL', KEYS[2]) end
redis.call('SET', KEYS[1], ARGV[1])
return number and have or ''`;

/** Claims every shard for our format. Returns the highest number that is newer than ours; null where there is none. */
async function claim(redis: Connection, keys: Keys): Promise<number | null> {
  const found = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) =>
      redis.eval(CLAIM, 2, keys.format(shard), keys.sentinel(shard), QUEUE_FORMAT),
    ),
  );
  const highest = Math.max(...found.map(Number));
  return highest > QUEUE_FORMAT ? highest : null;
}

const newerText = (format: number): string =>
  `The queue Redis (REDIS_URL) holds data of format ${format}, and this version of Millrace reads formats up to ${QUEUE_FORMAT}: ` +
  'start the version that wrote the data, or a later one. To go back to this version, stop all processes and empty the queue ' +
  'Redis: open promises are brought back from the ledger.';

/**
 * Marks the data on the queue Redis with our format, and migrates data of an older one. Any number of processes may do so at
 * once. Throws UnfitRedisError when the data is of a newer format.
 */
export async function claimQueueFormat(redis: Connection, keys: Keys): Promise<void> {
  const newer = await claim(redis, keys);
  if (newer !== null) throw new UnfitRedisError(newerText(newer));
}

const WATCH_MS = 5_000;

export interface FormatWatch {
  /** Looks now instead of at the next interval. */
  look(): Promise<void>;
  close(): void;
}

/**
 * Looks again and again: after a flush, a restored backup or a failover another server's data may be there. A marker that is
 * missing is set. `onNewer` is called once, with the sentence for the operator, when the data is of a newer format.
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
  let told = false;
  async function look(): Promise<void> {
    // While Redis is away there is nothing to see.
    const newer = await claim(redis, keys).catch(() => null);
    if (newer === null || told) return;
    told = true;
    onNewer(newerText(newer));
  }
  const timer = setInterval(() => void look(), WATCH_MS);
  timer.unref();
  return { look, close: () => clearInterval(timer) };
}
