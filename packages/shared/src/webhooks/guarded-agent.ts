/**
 * HTTP agents that connect only to permitted addresses. The agents check the address that the socket then connects to, so a
 * name whose address changes between check and connection (DNS rebinding) cannot evade the check.
 */
import type { Agent } from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { http } from '../process/node-http.ts';
import type { AddressRule } from './address.ts';
import { literalAddress, type Resolve } from './target.ts';

export class AddressRefused extends Error {
  override name = 'AddressRefused';
  constructor() {
    super('The address is private or reserved.');
  }
}

export class NameNotResolved extends Error {
  override name = 'NameNotResolved';
}

export interface GuardOptions {
  mayReach: AddressRule;
  resolve: Resolve;
}

export interface GuardedAgents {
  /** Returns the agent for the protocol of a URL (`https:`). With `fresh` every request gets a new connection. */
  get(protocol: string, fresh: boolean): Agent;
  destroy(): void;
}

/** Idle connections are kept briefly, because events come in bursts. Few per receiver, so that many receivers fit. */
const KEEP = { keepAlive: true, keepAliveMsecs: 5_000, timeout: 5_000, maxFreeSockets: 8, maxTotalSockets: Infinity };

export function createGuardedAgents(options: GuardOptions): GuardedAgents {
  const lookup = guardedLookup(options);
  const kept = { http: guarded(http.Agent), https: guarded(https.Agent) };
  const fresh = { http: guarded(http.Agent, false), https: guarded(https.Agent, false) };

  function guarded(Base: typeof Agent, keep = true): Agent {
    class Guarded extends Base {
      // Node does not call `lookup` for a host that is an address.
      override createConnection(...[to, done]: Parameters<Agent['createConnection']>) {
        const host = 'host' in to && typeof to.host === 'string' ? to.host : '';
        const address = literalAddress(host);
        if (address !== undefined && !options.mayReach(address)) throw new AddressRefused();
        return super.createConnection({ ...to, lookup }, done);
      }
    }
    return new Guarded(keep ? KEEP : { keepAlive: false });
  }

  return {
    get: (protocol, once) => (once ? fresh : kept)[protocol === 'https:' ? 'https' : 'http'],
    destroy() {
      for (const agent of [kept.http, kept.https, fresh.http, fresh.https]) agent.destroy();
    },
  };
}

/** A `lookup` for sockets that returns only permitted addresses, and fails for a name without permitted addresses. */
export function guardedLookup({ mayReach, resolve }: GuardOptions): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname).then(
      (addresses) => {
        const permitted = addresses
          .filter((address) => mayReach(address))
          .map((address) => ({ address, family: isIP(address) }));
        const [first] = permitted;
        if (!first) return done(addresses.length > 0 ? new AddressRefused() : new NameNotResolved(), []);
        if (options.all) return done(null, permitted);
        return done(null, first.address, first.family);
      },
      (cause) => done(new NameNotResolved('The name has no address.', { cause }), []),
    );
  };
}
