/** Redis Sentinel: where the sentinels are, and how a connection asks them for the primary. */
import type { RedisOptions } from 'ioredis';
import { parseAddress } from '../process/sentinel-address.ts';

export interface Sentinels {
  /** `host:port` of each, as configured. */
  addresses: readonly string[];
  /** What the sentinels call the primary. */
  primary: string;
  username?: string | undefined;
  password?: string | undefined;
}

/** A sentinel that does not answer in this time is skipped. */
const COMMAND_TIMEOUT_MS = 1_000;

const retryStrategy = (times: number): number => Math.min(50 * times, 500);

/** `url` gives what the sentinels do not know: with `rediss:` both the servers and the sentinels are reached by TLS. */
export function sentinelOptions({ addresses, primary, username, password }: Sentinels, url: string): RedisOptions {
  const sentinels = addresses.map((text) => {
    const address = parseAddress(text);
    if (!address) throw new TypeError(`'${text}' is not the address of a sentinel. Expected host:port.`);
    return address;
  });
  return {
    sentinels,
    name: primary,
    role: 'master',
    // Sentinels that were added since the start are learned from those that answer.
    updateSentinels: true,
    sentinelRetryStrategy: retryStrategy,
    sentinelReconnectStrategy: retryStrategy,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    ...(username ? { sentinelUsername: username } : {}),
    ...(password ? { sentinelPassword: password } : {}),
    ...(url.startsWith('rediss:') ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}
