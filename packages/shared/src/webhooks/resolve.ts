/** Host names to addresses, without letting one slow name server hold up the names of others. */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Resolve } from './target.ts';

/** Threads of libuv's pool (it has four, shared with files and crypto) that system look-ups may hold. */
const SYSTEM_LOOKUPS = 2;

/**
 * Asks the name servers through c-ares, which waits on sockets; `dns.lookup` waits on a thread. Only names that they
 * do not know go to the system, for its hosts file and search domains, and only two at a time.
 */
export function createResolve({ timeoutMs = 2_000, tries = 2 } = {}): Resolve {
  const gate = createGate(SYSTEM_LOOKUPS);
  return async (hostname) => {
    const resolver = new Resolver({ timeout: timeoutMs, tries });
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses.filter((address) => isIP(address) !== 0);
    // Who kept c-ares waiting would keep a thread waiting too.
    const failed = answers.find((answer) => answer.status === 'rejected' && answer.reason.code === 'ETIMEOUT');
    if (failed?.status === 'rejected') throw failed.reason;
    return gate(async () => (await lookup(hostname, { all: true })).map(({ address }) => address));
  };
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
