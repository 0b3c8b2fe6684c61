/** Lua scripts that processes run often: Redis gets the digest of a script, and the text only if Redis does not know the script. */
import { createHash } from 'node:crypto';
import type { Connection } from './connection.ts';

/** Runs the script. `keys` is the number of keys, which stand first in `args`. Rejects as `eval` does. */
export type Script = (redis: Connection, keys: number, ...args: (string | number)[]) => Promise<unknown>;

/** Returns a function that runs a script. Redis hashes each text that arrives, and this process copies each text that leaves. */
export function scriptOf(lua: string): Script {
  const digest = createHash('sha1').update(lua).digest('hex');
  return async (redis, keys, ...args) => {
    try {
      return await redis.evalsha(digest, keys, ...args);
    } catch (error) {
      // After a start of Redis, a failover, or `SCRIPT FLUSH`.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return redis.eval(lua, keys, ...args);
    }
  };
}
