/** The order of the work of several tenants: the tenants take turns, and the work of a tenant runs in the order of its arrival. */
export class Turns<T> {
  /** The first tenant has the next turn. */
  readonly #tenants = new Map<string, T[]>();

  add(tenant: string, item: T): void {
    const items = this.#tenants.get(tenant);
    if (items === undefined) this.#tenants.set(tenant, [item]);
    else items.push(item);
  }

  /** Removes and returns the next item of the first tenant that may run. The tenant then moves to the end of the order. */
  next(mayRun: (tenant: string) => boolean): { tenant: string; item: T } | undefined {
    for (const [tenant, items] of this.#tenants) {
      if (!mayRun(tenant)) continue;
      const item = items.shift();
      this.#tenants.delete(tenant);
      if (item === undefined) continue;
      if (items.length > 0) this.#tenants.set(tenant, items);
      return { tenant, item };
    }
    return undefined;
  }

  /** Removes and returns the first items of a tenant, up to the first item that does not join. */
  joining(tenant: string, joins: (item: T) => boolean): T[] {
    const items = this.#tenants.get(tenant) ?? [];
    const end = items.findIndex((item) => !joins(item));
    const joined = items.splice(0, end < 0 ? items.length : end);
    if (items.length === 0) this.#tenants.delete(tenant);
    return joined;
  }

  /** Puts an item before the other items of its tenant. */
  putBack(tenant: string, item: T): void {
    const items = this.#tenants.get(tenant);
    if (items === undefined) this.#tenants.set(tenant, [item]);
    else items.unshift(item);
  }

  /** Removes and returns all items. */
  clear(): T[] {
    const items = [...this.#tenants.values()].flat();
    this.#tenants.clear();
    return items;
  }
}
