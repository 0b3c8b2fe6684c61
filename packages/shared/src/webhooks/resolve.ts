/** Host names to addresses, without letting one slow name server hold up the names of others. */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Resolve } from './target.ts';

/** Threads of libuv's pool (it has four, shared with files and crypto) that system look-ups may hold. */
const SYSTEM_LOOKUPS = 2;
/** How long one family is waited for once the other has addresses (RFC 8305): some name servers never answer for AAAA. */
const OTHER_FAMILY_MS = 50;

export interface ResolveOptions {
  timeoutMs?: number;
  tries?: number;
  /** Name servers, as `address:port`; those of the system if absent. */
  servers?: readonly string[];
}

/**
 * Asks the name servers through c-ares, which waits on sockets; `dns.lookup` waits on a thread. Only names that they
 * do not know go to the system, for its hosts file and search domains, and only two at a time.
 */
export function createResolve({ timeoutMs = 2_000, tries = 2, servers }: ResolveOptions = {}): Resolve {
  const gate = createGate(SYSTEM_LOOKUPS);
  return async (hostname) => {
    const resolver = new Resolver({ timeout: timeoutMs, tries });
    if (servers) resolver.setServers(servers);
    const answers = await bothOrFirst(resolver.resolve4(hostname), resolver.resolve6(hostname));
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length > 0) return addresses.filter((address) => isIP(address) !== 0);
    // Who kept c-ares waiting would keep a thread waiting too.
    const failed = answers.find((answer) => answer.status === 'rejected' && answer.reason.code === 'ETIMEOUT');
    if (failed?.status === 'rejected') throw failed.reason;
    return gate(async () => (await lookup(hostname, { all: true })).map(({ address }) => address));
  };
}

type Answer = PromiseSettledResult<string[]>;

/** What both say; where one has addresses and the other keeps it waiting, what that one says. */
function bothOrFirst(...asked: Promise<string[]>[]): Promise<Answer[]> {
  return new Promise((resolve) => {
    const answers: Answer[] = [];
    let timer: NodeJS.Timeout | undefined;
    const come = (answer: Answer) => {
      answers.push(answer);
      if (answers.length === asked.length) {
        clearTimeout(timer);
        resolve(answers);
      } else if (answer.status === 'fulfilled' && answer.value.length > 0) {
        timer = setTimeout(() => resolve([...answers]), OTHER_FAMILY_MS);
      }
    };
    for (const one of asked) {
      one.then(
        (value) => come({ status: 'fulfilled', value }),
        (reason) => come({ status: 'rejected', reason }),
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
