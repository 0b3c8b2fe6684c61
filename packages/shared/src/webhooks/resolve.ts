/** Resolves host names to addresses. A slow name server delays only the host names of that server. */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Resolve } from './target.ts';

/** Threads of libuv's pool that system look-ups may use. The pool has four threads, shared with files and crypto. */
const SYSTEM_LOOKUPS = 2;
/** The wait for the second address family after the first has addresses (RFC 8305): some name servers never respond to AAAA. */
const OTHER_FAMILY_MS = 50;

export interface ResolveOptions {
  timeoutMs?: number;
  tries?: number;
  /** Name servers as `address:port`. Defaults to the name servers of the system. */
  servers?: readonly string[];
}

/**
 * Queries the name servers through c-ares, which waits on sockets. `dns.lookup` waits on a thread. Only names that are unknown to
 * the name servers go to `dns.lookup`, for the hosts file and search domains of the system, and at most two at a time.
 */
export function createResolve({ timeoutMs = 2_000, tries = 2, servers }: ResolveOptions = {}): Resolve {
  const gate = createGate(SYSTEM_LOOKUPS);
  return async (hostname) => {
    const resolver = new Resolver({ timeout: timeoutMs, tries });
    if (servers) resolver.setServers(servers);
    const lookUps = await bothOrFirst(resolver.resolve4(hostname), resolver.resolve6(hostname));
    const addresses = lookUps.flatMap((lookUp) => (lookUp.status === 'fulfilled' ? lookUp.value : []));
    if (addresses.length > 0) return addresses.filter((address) => isIP(address) !== 0);
    // A name server that kept c-ares waiting would also block a thread.
    const failed = lookUps.find((lookUp) => lookUp.status === 'rejected' && lookUp.reason.code === 'ETIMEOUT');
    if (failed?.status === 'rejected') throw failed.reason;
    return gate(async () => (await lookup(hostname, { all: true })).map(({ address }) => address));
  };
}

type LookUp = PromiseSettledResult<string[]>;

/** Resolves to both look-ups. Resolves to the first look-up with addresses when the other takes more than OTHER_FAMILY_MS. */
function bothOrFirst(...queries: Promise<string[]>[]): Promise<LookUp[]> {
  return new Promise((resolve) => {
    const ended: LookUp[] = [];
    let timer: NodeJS.Timeout | undefined;
    const onEnd = (lookUp: LookUp) => {
      ended.push(lookUp);
      if (ended.length === queries.length) {
        clearTimeout(timer);
        resolve(ended);
      } else if (lookUp.status === 'fulfilled' && lookUp.value.length > 0) {
        timer = setTimeout(() => resolve([...ended]), OTHER_FAMILY_MS);
      }
    };
    for (const query of queries) {
      query.then(
        (value) => onEnd({ status: 'fulfilled', value }),
        (reason) => onEnd({ status: 'rejected', reason }),
      );
    }
  });
}

function createGate(width: number): <T>(task: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await task();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}
