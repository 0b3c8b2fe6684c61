/** Entities for autocompletion and display, read through the cache. */
import type { Entity } from '@millrace/shared/handler';

export interface EntityLookup {
  /** Names and aliases that begin with, or hold, `q`; null when there is no such entity. */
  search(tenant: string, entity: string, q: string, limit: number): Promise<Entity[] | null>;
  /** By key, name or alias; `near` has similar names when it is not found; null when there is no such entity. */
  find(tenant: string, entity: string, key: string): Promise<{ found: Entity } | { near: string[] } | null>;
}
