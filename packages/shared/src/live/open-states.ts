/** Reads which of many predictions are open: an API process with 10,000 waiting callers looks at all of them every second. */
import type { Connection } from '../redis/connection.ts';
import { scriptOf } from '../redis/script.ts';
import { FIELD_BYTES, HEAD, hasHead, NUMBER } from './state-layout.ts';

/** The head of each state. '' for a missing state, for a state without all of its first fields, and for a key of another type. */
const HEADS = scriptOf(`#!lua flags=no-writes
local heads = {}
for at, key in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', key, 0, ${HEAD - 1})
  local fields = type(head) == 'string' and tonumber(string.sub(head, ${FIELD_BYTES + 1}))
  heads[at] = fields and redis.call('STRLEN', key) >= ${HEAD} + fields and head or ''
end
return heads`);

/** The letters of the statuses queued and running. */
const OPEN = ['q', 'r'];

/** Whether the state of each key is open. False for a state that has ended, is missing or is cut. The keys must have one shard. */
export async function areOpen(redis: Connection, keys: readonly string[]): Promise<boolean[]> {
  const heads = await HEADS(redis, keys.length, ...keys);
  if (!Array.isArray(heads)) return keys.map(() => false);
  return heads.map((head) => typeof head === 'string' && hasHead(head) && OPEN.includes(head[NUMBER] ?? ''));
}
