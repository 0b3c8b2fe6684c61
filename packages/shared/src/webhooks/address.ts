/**
 * Decides which IP addresses a webhook may reach. Allowed are public IPv6 addresses (2000::/3) without an embedded IPv4
 * address, and IPv4 addresses outside IANA's special ranges. The networks of the operator (WEBHOOK_ALLOWED_NETWORKS) are
 * always allowed.
 */
import { BlockList, isIP } from 'node:net';

const FORBIDDEN_V4 = [
  '0.0.0.0/8', // this host
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; some clouds' metadata
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's own services, at a public address
  '169.254.0.0/16', // link-local; metadata of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments; Oracle's metadata
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
];
const PUBLIC_V6 = ['2000::/3'];
const FORBIDDEN_V6 = [
  '2001::/23', // protocol assignments; Teredo, which carries IPv4 addresses
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, which carries IPv4 addresses
  '3fff::/20', // documentation
];

/** Reads a network in CIDR form or a single address. Returns undefined for any other text. */
export function parseNetwork(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || rest.length > 0) return undefined;
  const most = family === 4 ? 32 : 128;
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  return bits <= most ? { address, bits, family: family === 4 ? 'ipv4' : 'ipv6' } : undefined;
}

export type AddressRule = (address: string) => boolean;

/** Returns a function that decides whether an address is allowed. Throws for an invalid network of the operator. */
export function addressRule(allowedNetworks: readonly string[], setting = 'WEBHOOK_ALLOWED_NETWORKS'): AddressRule {
  const allowed = blockListOf(allowedNetworks, setting);
  const forbidden = blockListOf([...FORBIDDEN_V4, ...FORBIDDEN_V6]);
  const publicV6 = blockListOf(PUBLIC_V6);
  return (address) => {
    const version = isIP(address);
    // Only addresses on the links of this host have a zone (`fe80::1%eth0`).
    if (version === 0 || address.includes('%')) return false;
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (allowed.check(address, family)) return true;
    if (forbidden.check(address, family)) return false;
    return family === 'ipv4' || publicV6.check(address, 'ipv6');
  };
}

function blockListOf(networks: readonly string[], setting = ''): BlockList {
  const list = new BlockList();
  for (const text of networks) {
    const network = parseNetwork(text);
    if (!network) throw new Error(`${setting} contains '${text}': expected networks such as 10.1.0.0/16.`);
    list.addSubnet(network.address, network.bits, network.family);
  }
  return list;
}
