/** Names of cached entity queries that writers must forget. */

/** Which set of an entity is the newest: the one query about entities whose answer changes. */
export const newestSetQuery = (tenant: string, entity: string): string => `entity-newest:${tenant}:${entity}`;
