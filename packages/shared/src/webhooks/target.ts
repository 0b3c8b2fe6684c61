/** Whether a URL may be a webhook's: its form, and where its host leads at this moment. */
import { isIP } from 'node:net';
import type { AddressRule } from './address.ts';

const MAX_LENGTH = 2_048;

export type TargetProblem = { code: 'form' | 'address'; message: string };

/** Addresses of a host name; rejects when it has none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface TargetRules {
  allowHttp: boolean;
  mayReach: AddressRule;
}

/** The URL as it will be called, or what is wrong with it. No I/O: names are not resolved here. */
export function readTarget(text: string, { allowHttp, mayReach }: TargetRules): URL | TargetProblem {
  if (text.length > MAX_LENGTH) return form(`The URL is longer than ${MAX_LENGTH} characters.`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return form('It is not a URL.');
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) return form('The URL must be https.');
  if (url.username !== '' || url.password !== '') return form('The URL must not carry a user or password.');
  if (url.port === '0') return form('Port 0 cannot be called.');
  url.hash = '';
  const address = literalAddress(url.hostname);
  if (address !== undefined && !mayReach(address)) return forbidden();
  return url;
}

/** The address that a URL's host name spells out, or undefined for a name. The URL parser has undone 0x7f.1 and its kin. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/**
 * As `readTarget`, and refuses names that lead only to forbidden addresses. A name that does not resolve is let
 * through: it may not exist yet, and each attempt checks again.
 */
export async function checkTarget(text: string, rules: TargetRules, resolve: Resolve): Promise<URL | TargetProblem> {
  const url = readTarget(text, rules);
  if (!(url instanceof URL) || literalAddress(url.hostname) !== undefined) return url;
  const addresses = await resolve(url.hostname).catch(() => undefined);
  return addresses === undefined || addresses.some(rules.mayReach) ? url : forbidden();
}

const form = (message: string): TargetProblem => ({ code: 'form', message });
// One sentence for all of them: which names exist on a private network is nobody's business.
const forbidden = (): TargetProblem => ({
  code: 'address',
  message: 'The URL leads to a private or reserved network.',
});
