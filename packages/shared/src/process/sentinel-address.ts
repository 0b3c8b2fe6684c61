/** Parses the addresses in `REDIS_SENTINELS`. */
const SENTINEL_PORT = 26_379;

export interface Address {
  host: string;
  port: number;
}

/** Parses `host`, `host:port` or `[IPv6]:port`. Returns undefined for any other text. */
export function parseAddress(text: string): Address | undefined {
  if (/[/@?#\s]/.test(text) || !URL.canParse(`redis://${text}`)) return undefined;
  const { hostname, port } = new URL(`redis://${text}`);
  if (hostname === '') return undefined;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? SENTINEL_PORT : Number(port) };
}
