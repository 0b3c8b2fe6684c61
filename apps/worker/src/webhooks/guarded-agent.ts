/**
 * Connections that only ever go to permitted addresses. The check is on the addresses that the socket is then given, so
 * a name that changes its mind between check and connection (DNS rebinding) has nothing to change.
 */
import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import type { AddressRule } from '@millrace/shared/webhooks/address';
import { literalAddress, type Resolve } from '@millrace/shared/webhooks/target';

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
  /** For a protocol as URLs have it; `fresh` never gives out a connection that was used before. */
  get(protocol: string, fresh: boolean): http.Agent;
  destroy(): void;
}

/** Idle connections are kept for a moment, since events come in bursts; few a receiver, so that many can be had. */
const KEEP = { keepAlive: true, keepAliveMsecs: 5_000, timeout: 5_000, maxFreeSockets: 8, maxTotalSockets: Infinity };

export function createGuardedAgents(options: GuardOptions): GuardedAgents {
  const lookup = guardedLookup(options);
  const kept = { http: guarded(http.Agent), https: guarded(https.Agent) };
  const fresh = { http: guarded(http.Agent, false), https: guarded(https.Agent, false) };

  function guarded(Agent: typeof http.Agent, keep = true): http.Agent {
    class Guarded extends Agent {
      // A socket for a host that is an address already never asks the look-up.
      override createConnection(...[to, done]: Parameters<http.Agent['createConnection']>) {
        const host = (to as { host?: string | null }).host ?? '';
        const address = literalAddress(host);
        if (address !== undefined && !options.mayReach(address)) throw new AddressRefused();
        return super.createConnection({ ...to, lookup } as typeof to, done);
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

/** A look-up for sockets that knows permitted addresses only, and fails when a name has no other. */
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
