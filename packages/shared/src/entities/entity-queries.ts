/** The names of cached entity queries, which writers of entities invalidate. */

/** The query for the newest set of an entity, the only entity query whose result changes. */
export const newestSetQuery = (tenant: string, entity: string): string => `entity-newest:${tenant}:${entity}`;
