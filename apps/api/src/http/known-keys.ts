/** Remembers for some seconds which tenant a key belongs to. */
import { hash } from 'node:crypto';

/** How long a process trusts what it knows of a key: a revoked key is refused after that at the latest. */
const TRUST_MS = 5_000;
const KNOWN_MAX = 10_000;

export type TenantOfKey = (key: string) => Promise<string | undefined>;

export function knownKeys(tenantOfKey: TenantOfKey, now: () => number = () => performance.now()): TenantOfKey {
  // By their hash: no key itself stays in memory.
  const known = new Map<string, { tenant: Promise<string | undefined>; until: number }>();
  return (key) => {
    const name = hash('sha256', key, 'base64');
    const entry = known.get(name);
    if (entry && entry.until > now()) return entry.tenant;
    if (known.size >= KNOWN_MAX) known.clear();
    const tenant = tenantOfKey(key);
    known.set(name, { tenant, until: now() + TRUST_MS });
    tenant.catch(() => known.delete(name));
    return tenant;
  };
}
