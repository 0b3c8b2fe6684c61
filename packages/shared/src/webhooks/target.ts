/** Decides whether a webhook may call a URL, by the form of the URL and the present addresses of its host. */
import { isIP } from 'node:net';
import type { AddressRule } from './address.ts';

const MAX_LENGTH = 2_048;

export type TargetProblem = { code: 'form' | 'address'; message: string };

/** Returns the addresses of a host name. Rejects when the name has no address. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export interface TargetRules {
  allowHttp: boolean;
  mayReach: AddressRule;
}

/**
 * The characters that a URL may contain. The URL parser silently removes some other characters (CR, LF, tabs, soft hyphens) and
 * replaces some (backslashes, full-width digits), so the registered URL would differ from the called URL.
 */
const WRITTEN = /^[!-[\]-~]+$/;
const AUTHORITY = /^https?:\/\/([^/?#]+)/i;
/** Names without a dot, and names that public name servers do not serve (RFC 6761, RFC 6762, RFC 8375, reserved by ICANN). */
const INTERNAL = /^[^.]+$|\.(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa)$/;

/**
 * Returns the URL to call, or the problem of the URL. Does no I/O: names are not resolved. Runs before each attempt and is more
 * tolerant than `readNewTarget`: URLs that 0.1.0 registered in another spelling continue to work, because the check of the
 * address protects the network.
 */
export function readTarget(text: string, { allowHttp, mayReach }: TargetRules): URL | TargetProblem {
  if (text.length > MAX_LENGTH) return form(`The URL is longer than ${MAX_LENGTH} characters.`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return form('The text is not a URL.');
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) return form('The URL must be https.');
  if (url.username !== '' || url.password !== '') return form('The URL must not contain a user or password.');
  if (url.port === '0') return form('The port of the URL must not be 0.');
  url.hash = '';
  const address = literalAddress(url.hostname);
  if (address !== undefined && !mayReach(address)) return forbidden();
  return url;
}

/** Like `readTarget`, for a URL that is registered or named by a prediction: the text must equal the parsed URL. */
export function readNewTarget(text: string, rules: TargetRules): URL | TargetProblem {
  const url = readTarget(text, rules);
  if (!(url instanceof URL)) return url;
  if (!WRITTEN.test(text))
    return form(
      'The URL must be printable ASCII without spaces and backslashes. Write the host in its xn-- form, and encode other characters with %.',
    );
  if (url.hostname.endsWith('.')) return form('The host name must not end with a dot.');
  if (!isWrittenAsRead(text, url)) return form(`The host must be written as '${url.host}'.`);
  return url;
}

/** Whether the text contains host and port exactly as parsed. For IPv6 every spelling is accepted. */
function isWrittenAsRead(text: string, { host, hostname, protocol }: URL): boolean {
  const written = AUTHORITY.exec(text)?.[1]?.toLowerCase();
  if (written === undefined) return false;
  if (hostname.startsWith('[')) return /^\[[0-9a-f:.]+\](?::\d+)?$/.test(written);
  return written === host || written === `${host}:${protocol === 'https:' ? 443 : 80}`;
}

/** Returns the address in a URL's host, or undefined for a name. The URL parser has normalized forms such as 0x7f.1. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(bare) === 0 ? undefined : bare;
}

/**
 * Like `readNewTarget`, and also rejects names with only forbidden addresses. A public name that does not resolve is accepted:
 * the name may be registered later, and each attempt checks the addresses again. An internal name must have an address in a
 * network that the operator allows.
 */
export async function checkTarget(text: string, rules: TargetRules, resolve: Resolve): Promise<URL | TargetProblem> {
  const url = readNewTarget(text, rules);
  if (!(url instanceof URL) || literalAddress(url.hostname) !== undefined) return url;
  const addresses = await resolve(url.hostname).catch(() => undefined);
  if (addresses === undefined) return INTERNAL.test(url.hostname) ? forbidden() : url;
  return addresses.some(rules.mayReach) ? url : forbidden();
}

const form = (message: string): TargetProblem => ({ code: 'form', message });
// The same message for every forbidden address and name, so that callers cannot probe which names exist on a private network.
const forbidden = (): TargetProblem => ({
  code: 'address',
  message: 'The URL points to a private or reserved network.',
});
