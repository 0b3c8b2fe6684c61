/** The entity rows of a version, as its handler looks them up inside an engine. */
import type { Entities, Entity } from '@millrace/shared/handler';
import { nearNames } from '@millrace/shared/near-names';

const fold = (name: string): string => name.trim().replace(/\s+/g, ' ').toLowerCase();

export function entitiesOf(sets: Readonly<Record<string, readonly Entity[]>>): Entities {
  const byKey = new Map<string, Map<string, Entity>>();
  const byName = new Map<string, Map<string, Entity>>();
  for (const [entity, rows] of Object.entries(sets)) {
    const names = new Map<string, Entity>();
    // Keys go before names, and names before aliases: set last what counts most.
    for (const row of rows) for (const alias of row.aliases) if (!names.has(fold(alias))) names.set(fold(alias), row);
    for (const row of rows) names.set(fold(row.name), row);
    for (const row of rows) names.set(fold(row.key), row);
    byName.set(entity, names);
    byKey.set(entity, new Map(rows.map((row) => [row.key, row])));
  }
  return {
    find: (entity, name) => byName.get(entity)?.get(fold(name)),
    get: (entity, key) => byKey.get(entity)?.get(key),
    near: (entity, name, limit = 5) =>
      nearNames(
        name,
        (sets[entity] ?? []).map((row) => row.name),
        limit,
      ),
    all: (entity) => sets[entity] ?? [],
  };
}
