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

/**
 * Characters that a URL is written with. Of others the URL parser strips some without a word (CR, LF, tabs, soft hyphens)
 * and reads some as others (backslashes, full-width digits): what is registered would not be what is called.
 */
const WRITTEN = /^[!-[\]-~]+$/;
const AUTHORITY = /^https?:\/\/([^/?#]+)/i;
/** Names that no public name server knows (RFC 6761, RFC 6762, RFC 8375, and names set aside by ICANN), and names without a dot. */
const INTERNAL = /^[^.]+$|\.(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)$/;

/**
 * The URL as it is called, or what is wrong with it. No I/O: names are not resolved here. For each attempt: URLs that 0.1.0
 * registered in another spelling than `readNewTarget` asks go on to work, since the address decides where they lead.
 */
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

/** As `readTarget`, for a URL that is registered or named: it must be written as the parser reads it. */
export function readNewTarget(text: string, rules: TargetRules): URL | TargetProblem {
  const url = readTarget(text, rules);
  if (!(url instanceof URL)) return url;
  if (!WRITTEN.test(text))
    return form(
      'The URL must be printable ASCII without spaces and backslashes: write the host in its xn-- form, and encode the rest with %.',
    );
  if (url.hostname.endsWith('.')) return form('The host name must not end with a dot.');
  if (!isWrittenAsRead(text, url)) return form(`The host must be written as it is read: '${url.host}'.`);
  return url;
}

/** Whether host and port stand in the text just as the URL parser understands them. Of IPv6 every spelling is taken. */
function isWrittenAsRead(text: string, { host, hostname, protocol }: URL): boolean {
  const written = AUTHORITY.exec(text)?.[1]?.toLowerCase();
  if (written === undefined) return false;
  if (hostname.startsWith('[')) return /^\[[0-9a-f:.]+\](?::\d+)?$/.test(written);
  return written === host || written === `${host}:${protocol === 'https:' ? 443 : 80}`;
}

/** The address that a URL's host name spells out, or undefined for a name. The URL parser has undone 0x7f.1 and its kin. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/**
 * As `readNewTarget`, and refuses names that lead only to forbidden addresses. A public name that does not resolve is let
 * through: it may not exist yet, and each attempt checks again. An internal name must lead to a network that the operator
 * allows.
 */
export async function checkTarget(text: string, rules: TargetRules, resolve: Resolve): Promise<URL | TargetProblem> {
  const url = readNewTarget(text, rules);
  if (!(url instanceof URL) || literalAddress(url.hostname) !== undefined) return url;
  const addresses = await resolve(url.hostname).catch(() => undefined);
  if (addresses === undefined) return INTERNAL.test(url.hostname) ? forbidden() : url;
  return addresses.some(rules.mayReach) ? url : forbidden();
}

const form = (message: string): TargetProblem => ({ code: 'form', message });
// One sentence for all of them: which names exist on a private network is nobody's business.
const forbidden = (): TargetProblem => ({
  code: 'address',
  message: 'The URL leads to a private or reserved network.',
});
