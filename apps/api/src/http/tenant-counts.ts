/**
 * Requested predictions by tenant, with a bounded number of labels: the busiest tenants have a label, and all others share the
 * label `other`. A count never falls: a tenant counts under its own label from the scrape on at which the tenant got the label.
 */

const LABELED_MAX = 20;
/** Tenants that are counted at all. Further tenants count as `other`. */
const TENANTS_MAX = 10_000;
const OTHER = 'other';

interface Tenant {
  /** Requests since the last scrape. */
  recent: number;
  labeled: boolean;
  counts: Map<string, number>;
}

export class TenantCounts {
  readonly #tenants = new Map<string, Tenant>();
  readonly #other = new Map<string, number>();
  #labeled = 0;

  /** `result` is one of a few words, such as `hit`. */
  count(tenant: string, result: string): void {
    let known = this.#tenants.get(tenant);
    if (known === undefined) {
      if (this.#tenants.size >= TENANTS_MAX) {
        add(this.#other, result);
        return;
      }
      known = { recent: 0, labeled: false, counts: new Map() };
      this.#tenants.set(tenant, known);
    }
    known.recent += 1;
    add(known.labeled ? known.counts : this.#other, result);
  }

  /** Returns the samples of a scrape, and gives labels to the busiest tenants since the last scrape. */
  scrape(): { tenant: string; result: string; count: number }[] {
    const samples = [...this.#tenants]
      .filter(([, { labeled }]) => labeled)
      .flatMap(([tenant, { counts }]) => samplesOf(tenant, counts));
    samples.push(...samplesOf(OTHER, this.#other));
    this.#choose();
    return samples;
  }

  #choose(): void {
    const busy = [...this.#tenants.values()].filter(({ recent }) => recent > 0);
    busy.sort((a, b) => b.recent - a.recent);
    const busiest = new Set(busy.slice(0, LABELED_MAX));
    // A tenant keeps its label while no busier tenant needs the label.
    const idle = [...this.#tenants.values()].filter((tenant) => tenant.labeled && !busiest.has(tenant));
    idle.sort((a, b) => b.recent - a.recent);
    for (const tenant of busiest) {
      if (tenant.labeled) continue;
      if (this.#labeled >= LABELED_MAX) {
        const last = idle.pop();
        if (last === undefined) break;
        last.labeled = false;
        this.#labeled -= 1;
      }
      tenant.labeled = true;
      this.#labeled += 1;
    }
    for (const tenant of busy) tenant.recent = 0;
  }
}

function add(counts: Map<string, number>, result: string): void {
  counts.set(result, (counts.get(result) ?? 0) + 1);
}

const samplesOf = (tenant: string, counts: ReadonlyMap<string, number>) =>
  [...counts].map(([result, count]) => ({ tenant, result, count }));
