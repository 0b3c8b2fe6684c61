/** Redis Sentinel: the addresses of the sentinels, and the options of a connection that finds the primary through them. */
import type { RedisOptions } from 'ioredis';

export interface Sentinels {
  addresses: readonly { host: string; port: number }[];
  /** The name of the primary in the configuration of the sentinels. */
  primary: string;
  username?: string | undefined;
  password?: string | undefined;
}

/** A sentinel that does not respond in this time is skipped. */
const COMMAND_TIMEOUT_MS = 1_000;

const retryStrategy = (times: number): number => Math.min(50 * times, 500);

/** Returns the options of ioredis. With `rediss:` in `url` the connections to the servers and to the sentinels use TLS. */
export function sentinelOptions({ addresses, primary, username, password }: Sentinels, url: string): RedisOptions {
  return {
    sentinels: [...addresses],
    name: primary,
    role: 'master',
    // The sentinels that respond name the sentinels that were added after the start.
    updateSentinels: true,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: retryStrategy,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    ...(username ? { sentinelUsername: username } : {}),
    ...(password ? { sentinelPassword: password } : {}),
    ...(url.startsWith('rediss:') ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}
