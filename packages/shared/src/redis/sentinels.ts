/** Redis Sentinel: where the sentinels are, and how a connection asks them for the primary. */
import type { RedisOptions } from 'ioredis';

export interface Sentinels {
  /** `host:port` of each, as configured. */
  addresses: readonly string[];
  /** What the sentinels call the primary. */
  primary: string;
  username?: string | undefined;
  password?: string | undefined;
}

export const SENTINEL_PORT = 26_379;
/** A sentinel that does not answer in this time is skipped. */
const COMMAND_TIMEOUT_MS = 1_000;

/** Undefined for text that is no `host`, `host:port` or `[IPv6]:port`. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  if (/[/@?#\s]/.test(text) || !URL.canParse(`redis://${text}`)) return undefined;
  const { hostname, port } = new URL(`redis://${text}`);
  if (hostname === '') return undefined;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? SENTINEL_PORT : Number(port) };
}

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
